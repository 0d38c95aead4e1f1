// Does what the shop's dashboard does with the relay: lists the paid orders, subscribes to their tasks once, and
// after every message unsubscribes from all tasks and subscribes again. It does not subscribe again after a
// reconnect. Prints one JSON line for each event.
"use strict";

const { io } = require("socket.io-client");

const url = process.argv[2];
const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));
const api = async (path) => (await (await fetch(url + path)).json()).data;

let tasks = [];
const each = (event) => {
  for (const taskId of tasks) socket.emit(event, { taskId });
};

const socket = io(url, {
  path: "/socket.io",
  transports: ["websocket"],
  reconnectionDelay: 100,
  reconnectionDelayMax: 200,
});
socket.on("connect", async () => {
  say("connect", { recovered: socket.recovered, id: socket.id });
  if (tasks.length) return;
  const orders = await api("/api/admin/orders/paid?page=1&limit=20");
  const stats = await api("/api/admin/dashboard/stats");
  const { logs } = await api(`/api/admin/orders/${orders[0].id}/logs?severity=info`);
  tasks = orders.flatMap((order) => order.tasks.map((task) => task.id));
  each("subscribe:task");
  socket.emit("subscribe:order", { orderId: orders[0].id }, (answer) =>
    say("listed", { orders, stats, logs: logs.length, answer }),
  );
});
for (const event of ["progress", "status", "complete"]) {
  socket.on(event, (message, ...more) => {
    say(event, { message, more });
    each("unsubscribe:task");
    each("subscribe:task");
  });
}
socket.on("disconnect", (reason) => say("disconnect", { reason }));
socket.on("connect_error", (error) => say("connect_error", { message: error.message }));
process.stdin
  .on("end", () => {
    socket.disconnect();
  })
  .resume();
