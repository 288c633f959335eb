// Audits what its parent asks for, one program after the other, and answers with the report as the command prints it.
// It runs in a process of its own, from what was built, because its stdout and stderr are those of the programs: see warm-auditor.ts.
const built = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const { audit } = await built('audit.js');
const { json } = await built('report/json.js');

process.on('message', async (options) => {
  try {
    const report = await audit(options);
    process.send({ report: JSON.parse(json(report, { showNotes: true })) });
  } catch (error) {
    process.send({ error: error.stack });
  }
});
process.send({ ready: true });
