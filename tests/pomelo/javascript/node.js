// The story in Node: node node.js BUNDLE '{"gate": 3014, …}' ROOM TEXT prints what was seen.
// Every window is a context of its own, with what a browser would have; nothing of Node's is in it.
var fs = require('fs');
var path = require('path');
var vm = require('vm');
var WebSocket = require('ws');
var rsa = require('node-bignumber');

vm.runInThisContext(fs.readFileSync(path.join(__dirname, 'story.js'), 'utf8'), 'story.js');
var bundle = new vm.Script(fs.readFileSync(process.argv[2], 'utf8'), { filename: 'bundle.js' });

var stored = {};
var storage = {
  getItem: function (key) { return key in stored ? stored[key] : null; },
  setItem: function (key, value) { stored[key] = String(value); }
};

async function open() {
  var quiet = { log: function () {}, warn: function () {}, error: function () {} };
  var window = vm.createContext({
    WebSocket: WebSocket, localStorage: storage, console: quiet,
    setTimeout: setTimeout, clearTimeout: clearTimeout
  });
  window.window = window;
  window.rsa = new rsa.Key();
  listen(window);
  bundle.runInContext(window);
  return window;
}

story(open, JSON.parse(process.argv[3]), process.argv[4], process.argv[5]).then(function (lines) {
  process.stdout.write(JSON.stringify(lines), function () { process.exit(0); });
}, function (problem) {
  process.stderr.write(problem.stack + '\n', function () { process.exit(1); });
});
