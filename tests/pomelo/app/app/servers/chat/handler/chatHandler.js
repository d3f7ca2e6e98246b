module.exports = function (app) {
  return {
    send: function (msg, session, next) {
      var rid = session.get('rid');
      var service = app.get('channelService');
      var channel = service.getChannel(rid, false);
      var said = { msg: msg.content, from: session.uid.split('*')[0], target: msg.target };
      if (msg.target === '*') {
        channel.pushMessage('onChat', said);
      } else {
        var uid = msg.target + '*' + rid;
        service.pushMessageByUids('onChat', said, [{ uid: uid, sid: channel.getMember(uid).sid }]);
      }
      next(null, { route: msg.route });
    }
  };
};
