// What the servers of the types probe, bare, sealed and lab answer: one method for each thing to look at.
var noted = {};

module.exports = function (app) {
  function self(session) { return session.frontendId + ':' + session.id; }

  function stripped(msg) {
    if (msg && typeof msg === 'object') delete msg.__route__;
    return msg;
  }

  function reached(done) {
    return function (problem) { done(problem || null); };
  }

  return {
    echo: function (msg, session, next) { next(null, { got: stripped(msg) }); },
    whole: function (msg, session, next) { next(null, { got: msg }); },
    value: function (msg, session, next) { next(null, msg.value); },
    nothing: function (msg, session, next) { next(null); },
    fail: function (msg, session, next) { next(new Error('failed')); },
    refuse: function (msg, session, next) { next(new Error('refused'), { code: 413, why: 'too long' }); },
    explode: function () { throw new Error('raised'); },
    typed: function (msg, session, next) { next(null, { text: JSON.stringify(stripped(msg)) }); },

    note: function (msg, session, next) {
      (noted[self(session)] = noted[self(session)] || []).push(stripped(msg));
      next(null);
    },
    notes: function (msg, session, next) { next(null, { notes: noted[self(session)] || [] }); },

    bind: function (msg, session, next) { session.bind(msg.uid, reached(next)); },
    unbind: function (msg, session, next) { session.unbind(msg.uid, reached(next)); },
    who: function (msg, session, next) {
      next(null, { uid: session.uid || null, color: session.get('color') || null });
    },
    set: function (msg, session, next) {
      session.set('color', msg.color);
      if (msg.push) session.push('color', reached(next));
      else next(null);
    },
    push: function (msg, session, next) {
      var to = [{ uid: session.uid, sid: session.frontendId }];
      app.get('channelService').pushMessageByUids(msg.route, msg.msg, to, reached(next));
    },
    kick: function (msg, session, next) {
      var sessions = app.get('sessionService');
      if (sessions) sessions.kick(session.uid, msg.reason, reached(next));
      else app.get('backendSessionService').kickByUid(session.frontendId, session.uid, msg.reason, reached(next));
    }
  };
};
