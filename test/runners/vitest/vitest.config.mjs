// For the tests of this folder, which test/windows/audit/verify.test.ts runs.
export default { test: { include: ['*.test.mjs'], pool: 'forks', watch: false } };
