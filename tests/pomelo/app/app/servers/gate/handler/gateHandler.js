module.exports = function (app) {
  return {
    queryEntry: function (msg, session, next) {
      var connectors = app.getServersByType('connector');
      if (!msg.uid || !connectors || !connectors.length) return next(null, { code: 500 });
      var chosen = app.pick(msg.uid, connectors);
      next(null, { code: 200, host: chosen.host, port: chosen.clientPort });
    }
  };
};
