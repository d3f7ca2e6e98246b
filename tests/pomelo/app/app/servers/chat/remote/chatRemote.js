module.exports = function (app) {
  function name(uid) { return uid.split('*')[0]; }

  return {
    add: function (uid, sid, rid, create, done) {
      var channel = app.get('channelService').getChannel(rid, create);
      channel.pushMessage({ route: 'onAdd', user: name(uid) });
      channel.add(uid, sid);
      done(channel.getMembers().map(name));
    },
    kick: function (uid, sid, rid, done) {
      var channel = app.get('channelService').getChannel(rid, false);
      if (channel) {
        channel.leave(uid, sid);
        channel.pushMessage({ route: 'onLeave', user: name(uid) });
      }
      done();
    }
  };
};
