// What two people do with Pomelo's own JavaScript client, and what they see. It runs in Node and in
// a browser. `open()` gives a new window with the client in it; all windows share their storage.

var WAIT = 20000;

// Somebody with a window of their own. What the client tells them waits until it is asked for.
function person(name, open) {
  var heard = [];
  var waiting = [];
  var me = { name: name };

  function tell(what, body) {
    heard.push([what, body]);
    waiting.splice(0).forEach(function (look) { look(); });
  }

  me.arrive = async function () {
    me.window = await open();
    me.pomelo = me.window.pomelo;
    ['onAdd', 'onLeave', 'onChat', 'onTyped', 'onKick', 'disconnect', 'error', 'heartbeat timeout', 'reconnect']
      .forEach(function (what) { me.pomelo.on(what, function (body) { tell(what, body); }); });
  };

  me.connect = function (host, port, more) {
    return within('connecting ' + name, new Promise(function (done) {
      me.pomelo.init(Object.assign({ host: host, port: port }, more), function () { done(); });
    }));
  };

  me.ask = function (route, body) {
    return within(route, new Promise(function (done) { me.pomelo.request(route, body, done); }));
  };

  // The body of what was heard first under that name, now or when it comes.
  me.hear = function (what) {
    return within(name + ' hearing ' + what, new Promise(function (done) {
      (function look() {
        for (var at = 0; at < heard.length; at++) {
          if (heard[at][0] === what) return done(heard.splice(at, 1)[0][1]);
        }
        waiting.push(look);
      })();
    }));
  };

  me.unheard = function () { return heard.map(function (each) { return each[0]; }); };
  return me;
}

function within(what, promise) {
  return Promise.race([promise, new Promise(function (done, fail) {
    setTimeout(function () { fail(new Error('waited in vain for ' + what)); }, WAIT);
  })]);
}

// Through the gate to a connector, and into a room.
async function enter(someone, ports, room) {
  await someone.connect('127.0.0.1', ports.gate);
  var entry = await someone.ask('gate.gateHandler.queryEntry', { uid: someone.name });
  someone.pomelo.disconnect();
  await someone.hear('disconnect');
  await someone.connect(entry.host, entry.port);
  var answer = await someone.ask('connector.entryHandler.enter', { username: someone.name, rid: room });
  return { code: entry.code, users: answer.users };
}

async function story(open, ports, room, text) {
  var lines = [];
  function note(what, value) { lines.push(what + ': ' + JSON.stringify(value)); }

  var alice = person('alice', open);
  var bob = person('张三', open);
  await alice.arrive();
  await bob.arrive();

  note('alice enters', await enter(alice, ports, room));
  note('bob enters', await enter(bob, ports, room));
  note('alice hears of it', await alice.hear('onAdd'));

  note('bob says', await bob.ask('chat.chatHandler.send', { content: text, target: '*' }));
  note('bob hears', await bob.hear('onChat'));
  note('alice hears', await alice.hear('onChat'));
  note('alice whispers', await alice.ask('chat.chatHandler.send', { content: 'psst', target: '张三' }));
  note('bob hears', await bob.hear('onChat'));
  note('to nobody', await alice.ask('chat.chatHandler.send', { content: 'psst', target: 'eve' }));

  alice.pomelo.notify('lab.labHandler.note', { text: text });
  alice.pomelo.notify('lab.labHandler.note', { a: [1, 2.5, null] });
  note('noted', await alice.ask('lab.labHandler.notes', {}));
  note('echo', await alice.ask('lab.labHandler.echo', { text: text, list: [1, { a: null }] }));
  note('no such route', await alice.ask('lab.labHandler.nobody', {}));

  var typed = { text: text, number: 300, half: 1.5, whole: 0.1, place: { x: -3, y: 150 },
                numbers: [1, 2, 300], texts: ['a', 'bc'], places: [{ x: 1 }, { x: 2, y: 3 }] };
  note('typed', await alice.ask('lab.labHandler.typed', typed));
  note('asked for', await alice.ask('lab.labHandler.push', { route: 'onTyped', msg: typed }));
  note('pushed', await alice.hear('onTyped'));

  bob.pomelo.notify('lab.labHandler.kick', { reason: 'too loud' });
  note('bob is kicked', await bob.hear('onKick'));
  await bob.hear('disconnect');
  note('alice hears of it', await alice.hear('onLeave'));

  note('bob comes back', await enter(bob, ports, room));
  note('alice hears of it', await alice.hear('onAdd'));
  note('protos sent to alice', alice.window.handshakes.map(function (each) { return 'protos' in each.sys; }));
  note('and to bob', bob.window.handshakes.map(function (each) { return 'protos' in each.sys; }));
  bob.pomelo.disconnect();
  await bob.hear('disconnect');
  note('alice hears of it', await alice.hear('onLeave'));

  var carol = person('carol', open);
  await carol.arrive();
  await carol.connect('127.0.0.1', ports.probe, {
    user: { tell: { greeting: text } },
    handshakeCallback: function (user) { note('carol is told', user); }
  });
  note('echo', await carol.ask('probe.probeHandler.echo', { text: text }));
  carol.pomelo.disconnect();
  await carol.hear('disconnect');
  carol.connect('127.0.0.1', ports.probe, { user: { refuse: true } }).catch(function () {});
  note('carol is refused', await carol.hear('error'));
  await carol.hear('disconnect');

  var dave = person('dave', open);
  await dave.arrive();
  await dave.connect('127.0.0.1', ports.bare);
  while (dave.window.beats() < 3) await dave.window.beat();
  note('after heartbeats', await dave.ask('bare.bareHandler.echo', { a: 1 }));
  dave.pomelo.disconnect();

  if (dave.window.rsa) {
    var erin = person('erin', open);
    await erin.arrive();
    await erin.connect('127.0.0.1', ports.sealed, { encrypt: true });
    note('signed', await erin.ask('sealed.sealedHandler.echo', { text: 'abc', list: [1, 1.5] }));
    note('signed, elsewhere', await erin.ask('lab.labHandler.echo', { a: null }));
    erin.pomelo.disconnect();
  }

  alice.pomelo.disconnect();
  note('left over', [alice, bob, carol].map(function (each) { return each.unheard(); }));
  return lines;
}

// Note what comes over a window's WebSockets, without touching it.
function listen(window) {
  var Plain = window.WebSocket;
  var beats = 0;
  var waiting = [];
  window.handshakes = [];
  window.beats = function () { return beats; };
  window.beat = function () {
    return within('a heartbeat', new Promise(function (done) { waiting.push(done); }));
  };
  window.WebSocket = function (url) {
    var socket = new Plain(url);
    socket.addEventListener('message', function (event) {
      var bytes = new Uint8Array(event.data);
      if (bytes[0] === 1) window.handshakes.push(JSON.parse(new TextDecoder().decode(bytes.subarray(4))));
      if (bytes[0] !== 3) return;
      beats++;
      waiting.splice(0).forEach(function (done) { done(); });
    });
    return socket;
  };
}
