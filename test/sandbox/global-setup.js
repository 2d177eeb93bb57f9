/** jest's globalSetup: starts the sandbox that `tsc` has compiled. */
export default async function setUp() {
  const { startOnce } = await import('../../build/test/sandbox/start-once.js');
  await startOnce();
}
