// A chat on Pomelo itself, with servers beside it that show what Pomelo does with odd messages.
var net = require('net');
var crc = require('crc');
var pomelo = require('pomelo');
var tcpsocket = require('pomelo/lib/connectors/hybrid/tcpsocket');

// Pomelo gives `write` an encoding that Node has refused since version 16.
tcpsocket.prototype.send = function (bytes, options, callback) {
  this._socket.write(bytes, callback);
};

// Pomelo listens for other servers on all addresses, and believes whoever comes.
var listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port) {
  var given = Array.prototype.slice.call(arguments);
  if (!isNaN(port) && typeof given[1] !== 'string') given.splice(1, 0, '127.0.0.1');
  return listen.apply(this, given);
};

var app = pomelo.createApp();
app.set('name', 'oracle');

app.pick = function (key, servers) {
  return servers[Math.abs(crc.crc32(key)) % servers.length];
};

function connector(options) {
  options.connector = pomelo.connectors.hybridconnector;
  options.distinctHost = true;
  app.set('connectorConfig', options);
}

app.configure('all', 'gate', function () {
  connector({ useProtobuf: true });
});
app.configure('all', 'connector', function () {
  connector({ heartbeat: 10, useDict: true, useProtobuf: true });
});
app.configure('all', 'probe', function () {
  connector({
    heartbeat: 10,
    useDict: true,
    useProtobuf: true,

    checkClient: function (type, version) { return type !== 'outdated' && version !== '0.0.0'; },
    handshake: function (msg, answer) {
      var user = msg.user || {};
      if (user.refuse) return answer(new Error('refused'));
      answer(null, user.tell);
    }
  });
});
app.configure('all', 'bare', function () {
  connector({ heartbeat: 1 });
});
app.configure('all', 'sealed', function () {
  connector({ useCrypto: true });
});
app.configure('all', 'air', function () {
  app.set('connectorConfig', { connector: pomelo.connectors.udpconnector, heartbeat: 10 });
});
app.configure('all', 'all', function () {
  app.route('chat', function (session, msg, app, chosen) {
    chosen(null, app.pick(session.get('rid'), app.getServersByType('chat')).id);
  });
});

app.start();
process.on('uncaughtException', function (problem) { console.error(problem.stack); });
