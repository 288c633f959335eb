// Audits the programs that its parent names, one after the other, and answers with the report as the command prints it.
// It runs in a process of its own and loads the built modules, because its stdout and stderr are those of the programs:
// see warm-auditor.ts.
const built = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const { audit } = await built('audit/index.js');
const { CreateEventW, SetEvent } = await built('ffi/kernel32.js');
const { HandleOrNull } = await built('io/index.js');
const { MarkCounts } = await built('marks/mark-counts.js');
const { json } = await built('report/formats/json.js');

/** Set when a mark was counted. A program that marks by an event has no other way to know: see fixtures/marks.h. */
let counted;
const take = MarkCounts.prototype.take;
MarkCounts.prototype.take = async function (...args) {
  await take.apply(this, args);
  if (counted !== undefined) SetEvent(counted.asRawHandle());
};

process.on('message', async (options) => {
  try {
    const { mark } = options;
    if (mark !== undefined && !mark.startsWith('pipe:')) {
      const name = `Local\\${mark}-counted`;
      counted = HandleOrNull.fromRawHandle(CreateEventW(null, false, false, name)).expect('create event', name);
    }
    const report = await audit(options);
    process.send({ report: JSON.parse([...json(report, { showNotes: true })].join('')) });
  } catch (error) {
    process.send({ error: error.stack });
  } finally {
    counted?.close();
    counted = undefined;
  }
});
process.send({ ready: true });
