/** jest's globalTeardown. */
export default async function tearDown() {
  const { stopRunning } = await import('../../build/test/sandbox/start-once.js');
  await stopRunning();
}
