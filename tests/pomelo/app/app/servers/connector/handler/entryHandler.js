module.exports = function (app) {
  function left(session) {
    if (!session || !session.uid) return;
    app.rpc.chat.chatRemote.kick(session, session.uid, app.get('serverId'), session.get('rid'), null);
  }

  return {
    enter: function (msg, session, next) {
      var uid = msg.username + '*' + msg.rid;
      if (app.get('sessionService').getByUid(uid)) return next(null, { code: 500, error: true });
      session.bind(uid);
      session.set('rid', msg.rid);
      session.push('rid', function () {});
      session.on('closed', left);
      var me = app.get('serverId');
      app.rpc.chat.chatRemote.add(session, uid, me, msg.rid, true, function (users) {
        next(null, { users: users });
      });
    }
  };
};
