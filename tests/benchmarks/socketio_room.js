// One room on socket.io itself: what a server of this kind costs on Node.
const { Server } = require("socket.io");

const io = new Server(Number(process.argv[2]), { perMessageDeflate: false });
io.on("connection", (socket) => {
  socket.on("enter", ({ username, rid }, done) => {
    socket.data = { username, rid };
    socket.join(rid);
    done({});
  });
  socket.on("send", ({ content, target }, done) => {
    io.to(socket.data.rid).emit("onChat", { msg: content, from: socket.data.username, target });
    done({});
  });
});
io.httpServer.on("listening", () => console.log("ready"));
