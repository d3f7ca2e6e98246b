// The people of people.js in Node: orders come as lines of JSON, and what came of them goes so.
var fs = require('fs');
var path = require('path');
var readline = require('readline');
var url = require('url');
var vm = require('vm');
var WebSocket = require('ws');

vm.runInThisContext(fs.readFileSync(path.join(__dirname, 'people.js'), 'utf8'), 'people.js');
var bundle = new vm.Script(fs.readFileSync(process.argv[2], 'utf8'), { filename: 'bundle.js' });

// Every Pomelo client is in a window of its own.
function pomelo() {
  var storage = { getItem: function () { return null; }, setItem: function () {} };
  var quiet = { log: function () {}, warn: function () {}, error: function () {} };
  var window = vm.createContext({
    WebSocket: WebSocket, localStorage: storage, console: quiet, setTimeout: setTimeout, clearTimeout: clearTimeout
  });
  window.window = window;
  bundle.runInContext(window);
  return window;
}

// What the newest exports for `require` is less than what it exports for `import`, which does not
// look at NODE_PATH.
var four = path.join(path.dirname(require.resolve('socket.io-client-4/package.json')), 'build/esm/index.js');
import(url.pathToFileURL(four)).then(function (four) {
  var act = crowd({
    '0.9': require('socket.io-client-0'),
    '1.x': require('socket.io-client-1'),
    '2.x': require('socket.io-client-2'),
    '3.x': require('socket.io-client-3'),
    '4.x': four.io,
    Fetch: four.Fetch,
    pomelo: pomelo
  });
  readline.createInterface({ input: process.stdin }).on('line', function (line) {
    act(JSON.parse(line)).then(function (outcomes) {
      process.stdout.write(JSON.stringify(outcomes) + '\n');
    });
  }).on('close', function () { process.exit(0); });
});
