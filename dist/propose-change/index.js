if (parseInt(process.versions.node, 10) < 20) { console.log('::error::Node 20 or newer is needed, and ' + process.execPath + ' is Node ' + process.versions.node); process.exit(1); }
require('../bundle/index.js').run('propose-change');
