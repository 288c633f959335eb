// `bundles.mjs <times> <module>`: bundles a module and all that it imports, some times over. A plugin in JavaScript
// sees every module. It is the job of `npm run bench:js`.
import { rolldown } from 'rolldown';

const [times, input = ''] = process.argv.slice(2);
const countsLines = {
  name: 'counts-lines',
  lines: 0,
  transform(/** @type {string} */ code) {
    countsLines.lines += code.split('\n').length;
    return null;
  },
};

for (let round = 0; round < Number(times); round++) {
  const build = await rolldown({ input, platform: 'node', external: ['koffi'], plugins: [countsLines] });
  const { output } = await build.generate({ format: 'esm' });
  await build.close();
  if (output[0].code === '' || countsLines.lines === 0) throw new Error('The bundle is empty.');
}
