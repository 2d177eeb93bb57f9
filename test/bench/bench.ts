/** `npm run bench -- tags`: the benchmark of that name, in the file of that name. */
const BENCHMARKS = ['start', 'tags', 'choose', 'copy', 'evidence', 'dashboard'];

const [name = ''] = process.argv.slice(2);
if (!BENCHMARKS.includes(name)) {
  console.error(`npm run bench -- ${BENCHMARKS.join('|')}`);
  process.exit(2);
}
await import(`./${name}.js`);
