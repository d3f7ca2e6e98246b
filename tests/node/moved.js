// Pomelo's own JavaScript client at a frontend that drains: node moved.js BUNDLE PORT. It goes on
// where the kick says. What happened comes out as JSON.
var fs = require('fs');
var vm = require('vm');

var window = vm.createContext({
  WebSocket: require('ws'), setTimeout: setTimeout, clearTimeout: clearTimeout,
  console: { log: function () {}, error: function () {} },
  localStorage: { getItem: function () { return null; }, setItem: function () {} }
});
window.window = window;
vm.runInContext(fs.readFileSync(process.argv[2], 'utf8'), window);

var pomelo = window.pomelo;
var seen = [];
var kick;

pomelo.on('onKick', function (body) { kick = body; seen.push(['onKick', body]); });
pomelo.on('disconnect', function (event) {
  seen.push(['disconnect', event.code]);
  enter(kick.host, kick.port, function () {
    process.stdout.write(JSON.stringify(seen), function () { process.exit(0); });
  });
});

function enter(host, port, done) {
  pomelo.init({ host: host, port: port }, function () {
    pomelo.request('front.doorHandler.enter', { uid: 'alice' }, function (answer) {
      seen.push(['entered', answer]);
      done();
    });
  });
}

setTimeout(function () { process.exit(3); }, 30000);
enter('127.0.0.1', process.argv[3], function () {});
