// People who chat by socket.io's own libraries, of all generations. It runs in Node and in a page.
// `crowd(libraries)` gives a function that has people do things: it takes a list of
// [name, what, ...arguments], all of which are done at once, and gives what came of each by name.

var WAIT = 60000;
var ROUTES = ['onAdd', 'onLeave', 'onChat', 'onBytes', 'onKick'];
var SOON = 100;

function crowd(libraries) {
  var people = {};
  return async function act(orders) {
    var outcomes = {};
    await Promise.all(orders.map(async function (order) {
      var name = order[0], what = order[1];
      try {
        if (what === 'appear') people[name] = person(name, order[2], libraries);
        else outcomes[name] = { value: await people[name][what].apply(null, order.slice(2)) };
      } catch (problem) {
        outcomes[name] = { problem: String(problem.stack || problem) };
      }
    }));
    return outcomes;
  };
}

function within(what, promise, more) {
  return Promise.race([promise, new Promise(function (done, fail) {
    setTimeout(function () {
      fail(new Error('waited in vain for ' + what + (more ? ', ' + more() : '')));
    }, WAIT);
  })]);
}

// What a person hears waits until it is asked for.
function person(name, about, libraries) {
  var heard = [], waiting = [], line = null, place = null, room = null;
  var dial = about.library === 'pomelo' ? dialPomelo : dialSocketio;

  function tell(what, body) {
    heard.push([what, body]);
    waiting.splice(0).forEach(function (look) { look(); });
  }

  function look(what) {
    for (var at = 0; at < heard.length; at++) {
      if (heard[at][0] === what) return heard.splice(at, 1)[0];
    }
  }

  function state() {
    var last = heard.slice(-10).map(function (each) {
      return each[0] === 'disconnect' ? 'disconnect (' + each[1] + ')' : each[0];
    });
    return (line && line.connected() ? 'connected' : 'not connected') + ', having heard ' + last;
  }

  async function once(what) {
    return within(name + ' hearing ' + what, new Promise(function (done) {
      (function again() {
        var found = look(what);
        if (found) done(found[1]); else waiting.push(again);
      })();
    }), state);
  }

  async function connect(host, port) {
    var mine = line = dial(libraries, about, about.host || host, port, function (what, body) {
      if (line === mine) tell(what, body);
    });
    await once('connect');
  }

  var me = {
    // Through the gate to the connector that it names.
    arrive: async function (gate) {
      await connect('127.0.0.1', gate);
      var entry = await line.ask('gate.gateHandler.queryEntry', { uid: name });
      var transports = await line.settled();
      line.close();
      line = null;
      heard = [];
      place = [entry.host, entry.port];
      await connect(entry.host, entry.port);
      return { port: entry.port, transports: transports };
    },

    enter: function (rid) {
      room = rid;
      return line.ask('connector.entryHandler.enter', { username: name, rid: rid });
    },

    say: async function (texts, target) {
      return Promise.all(texts.map(function (text) {
        return line.ask('chat.chatHandler.send', { content: text, target: target });
      }));
    },

    hear: async function (what, count) {
      var found = [];
      while (found.length < count) found.push(await once(what));
      return found;
    },

    // Notifies, and requests while they are on their way, here and elsewhere.
    ask: async function (notes, value) {
      notes.forEach(function (text) { line.tell('chat.labHandler.note', { text: text }); });
      return Promise.all([
        line.ask('chat.labHandler.notes', {}),
        line.ask('chat.labHandler.echo', value),
        line.ask('connector.labHandler.echo', value),
        line.ask('chat.labHandler.nobody', {}),
        line.ask('connector.labHandler.nobody', {})
      ]);
    },

    bytes: async function (route, hex) {
      return written(await line.ask(route, { given: [bytes(hex), { more: bytes(hex) }], text: '你好 😀' }));
    },

    heardBytes: async function () { return written(await once('onBytes')); },

    // All that was heard and not asked for, behind which nothing is on its way.
    rest: async function () {
      await line.ask('chat.labHandler.notes', {});
      var rest = heard;
      heard = [];
      return { heard: rest, strays: line.strays(), transports: await line.settled() };
    },

    kick: async function (reason) {
      line.tell('connector.labHandler.kick', { reason: reason });
      var told = await once('onKick');
      await once('disconnect');
      return told;
    },

    // Nobody comes back by itself who was kicked.
    away: function () { return !line.connected(); },

    comeBack: async function () {
      heard = [];
      if (line.connect) { line.connect(); await once('connect'); } else await connect(place[0], place[1]);
    },

    // What its library does when a node has gone and comes again.
    survive: async function () {
      await once('disconnect');
      await once('connect');
      heard = [];
    },

    move: async function () {
      var told = await once('onKick');
      await once('disconnect');
      heard = [];
      place = [told.host, told.port];
      await connect(told.host, told.port);
      return { reason: told.reason, port: told.port };
    },

    forget: function () { heard = []; },

    leave: function () { line.close(); }
  };
  return me;
}

// 0.9 has other names for what all others have.
function dialSocketio(libraries, about, host, port, tell) {
  var library = libraries[about.library], old = about.library === '0.9';
  var url = 'http://' + host + ':' + port, transports = [], told = [], answers = {}, id = 1, strays = 0;
  // 0.9 writes what one client wants into what all clients get.
  if (old) library.transports = about.transports.slice();
  var socket = old ? library.connect(url, {
    'force new connection': true, 'try multiple transports': false,
    'reconnection delay': SOON, 'reconnection limit': 2 * SOON, 'max reconnection attempts': 1000
  }) : library(url, {
    forceNew: true, forceJSONP: about.scripted, reconnectionDelay: SOON, reconnectionDelayMax: 2 * SOON,
    transports: about.fetches ? [libraries.Fetch] : about.transports
  });

  function note(transport) {
    transports.push(about.fetches && transport instanceof libraries.Fetch ? 'fetch'
      : typeof transport.index === 'number' && transport.name === 'polling' ? 'jsonp' : transport.name);
    told.splice(0).forEach(function (look) { look(); });
  }

  if (!old) {
    socket.io.on('open', function () {
      var engine = socket.io.engine;
      transports = [];
      note(engine.transport);
      engine.on('upgrade', note);
    });
  }
  socket.on('connect', function () {
    if (old) { transports = []; note(socket.socket.transport); }
    tell('connect');
  });
  socket.on('disconnect', function (reason) { tell('disconnect', reason); });

  function read(text) {
    [].concat(JSON.parse(text)).forEach(function (said) {
      if (!('id' in said)) return tell(said.route, said.route === 'onKick' ? without(said, 'route') : said.body);
      var answer = answers[said.id];
      delete answers[said.id];
      if (answer) answer(said.body); else strays++;
    });
  }

  if (about.habit === 'pomelo') socket.on('message', read);
  else ROUTES.forEach(function (route) { socket.on(route, function (body) { tell(route, body); }); });

  // Pomelo's own library counts before it asks and begins with 1, so that the first is 2; a notify
  // has the number of the request before it. The tutorials' added the time.
  function send(number, route, body) {
    var head = String.fromCharCode(number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255, route.length);
    socket.send(head + route + JSON.stringify(Object.assign({}, body, { timestamp: Date.now() })));
  }

  return {
    ask: function (route, body) {
      return within(route, new Promise(function (done) {
        if (about.habit !== 'pomelo') return socket.emit(route, body, done);
        answers[++id] = done;
        send(id, route, body);
      })).then(function (answer) { return without(answer, 'timestamp'); });
    },
    tell: function (route, body) {
      if (about.habit === 'pomelo') send(id, route, body); else socket.emit(route, body);
    },
    // Which transports it has used, when it has come to the last.
    settled: function () {
      return within('an upgrade', new Promise(function (done) {
        (function look() {
          if (transports.length < about.transports.length) told.push(look); else done(transports);
        })();
      }));
    },
    connected: function () { return old ? socket.socket.connected : socket.connected; },
    connect: old ? null : function () { socket.connect(); },
    strays: function () { return strays; },
    close: function () { socket.disconnect(); }
  };
}

// Pomelo's own client for WebSockets, with what an application does when it is cut off.
function dialPomelo(libraries, about, host, port, tell) {
  var pomelo = libraries.pomelo().pomelo;
  var gone = false;
  function open() { pomelo.init({ host: host, port: port }, function () { tell('connect'); }); }
  ROUTES.forEach(function (route) { pomelo.on(route, function (body) { tell(route, body); }); });
  pomelo.on('onKick', function () { gone = true; });
  pomelo.on('disconnect', function () {
    tell('disconnect');
    if (!gone) setTimeout(open, SOON);
  });
  open();
  return {
    ask: function (route, body) {
      return within(route, new Promise(function (done) { pomelo.request(route, body, done); }));
    },
    tell: function (route, body) { pomelo.notify(route, body); },
    settled: async function () { return ['websocket']; },
    connected: function () { return !gone; },
    strays: function () { return 0; },
    close: function () { gone = true; pomelo.disconnect(); }
  };
}

function without(said, key) {
  if (said && typeof said === 'object') delete said[key];
  return said;
}

function bytes(hex) {
  if (typeof Buffer !== 'undefined') return Buffer.from(hex, 'hex');
  return new Uint8Array(hex.match(/../g).map(function (byte) { return parseInt(byte, 16); })).buffer;
}

// A value with its bytes written out.
function written(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    var found = ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value);
    return { bytes: Array.from(found, function (byte) { return byte.toString(16).padStart(2, '0'); }).join('') };
  }
  if (Array.isArray(value)) return value.map(written);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(function (each) { return [each[0], written(each[1])]; }));
}
