// What a shop does with the rows of its tables while orderctl works with them: lines of the table in docs/adopting.md.
// A line that works but for something, or does not work, checks just that.
"use strict";

const assert = require("node:assert/strict");

const { DataTypes, ForeignKeyConstraintError, Op, QueryTypes } = require("sequelize");

const { AMOUNT, COURSE, newCode, pay, shown, take } = require("./orders.cjs");

/** Carry out a transaction, again after a deadlock. */
const repeatedly = async (transaction) => {
  try {
    return await transaction();
  } catch (error) {
    if (error.original?.code !== "ER_LOCK_DEADLOCK") throw error;
    return repeatedly(transaction);
  }
};

const lines = [];
/** Add a line: its words in the table of the page, whether it works, and what shows that on one database. */
const line = (title, works, show) => lines.push({ title, works, show });

line("`Order.create` with its tasks, in one transaction", "yes", async (shop) => {
  const order = await shop.sequelize.transaction(() => take(shop, {}, 2));
  const seen = await shown(order, shop);
  assert.deepEqual(
    seen.tasks.map((task) => `${task.course_url} ${task.status}`).sort(),
    [0, 1].map((n) => `${COURSE}/${n} pending`),
  );
  assert.deepEqual([seen.total_amount, seen.payment_status], [AMOUNT, "pending"]);

  const given = { orderCode: newCode(), userEmail: "an@example.com", totalAmount: 1 };
  const refused = shop.sequelize.transaction(async (transaction) => {
    await shop.models.Order.create(given, { transaction });
    throw new Error("the shop changes its mind");
  });
  await assert.rejects(refused, { message: "the shop changes its mind" });
  assert.equal((await shop.run("orders", "show", given.orderCode)).status, 3);
});

line("`findAll` with `include`, `where`, `order`, `limit` and scopes", "yes", async (shop) => {
  const { Order } = shop.models;
  const order = await take(shop, {}, 2);
  await pay(order, shop);
  const [found] = await Order.findAll({
    where: { orderStatus: { [Op.in]: ["pending", "processing"] }, orderCode: order.orderCode },
    include: ["tasks", "events"],
    order: [["createdAt", "DESC"]],
    limit: 5,
  });
  assert.deepEqual([found.tasks.length, found.paymentStatus], [2, "paid"]);
  assert.ok(found.events.some((event) => event.eventType === "payment_received"));
  Order.addScope("paid", { where: { paymentStatus: "paid" } }, { override: true });
  const paid = await Order.scope("paid").findAll();
  assert.ok(paid.some((one) => one.id === order.id));
});

line("`findAndCountAll`, `count` and `sum`, also by a key of the JSON `details`", "yes", async (shop) => {
  const { AuditLog, Order } = shop.models;
  const order = await take(shop);
  await pay(order, shop);
  const { count, rows } = await AuditLog.findAndCountAll({
    where: { orderId: order.id, details: { amount: AMOUNT } },
    limit: 10,
  });
  assert.equal(count, 1);
  assert.deepEqual([rows[0].eventType, rows[0].details.amount], ["payment_received", AMOUNT]);
  const where = { orderCode: order.orderCode };
  assert.deepEqual(
    [await Order.count({ where }), Number(await Order.sum("totalAmount", { where }))],
    [1, AMOUNT],
  );
});

line("`update` of a status", "yes, but", async (shop) => {
  const order = await take(shop);
  const before = (await shown(order, shop)).events.length;
  await order.update({ paymentStatus: "paid" });
  await order.tasks[0].update({ status: "completed", driveLink: "https://drive.example.com/1" });
  const seen = await shown(order, shop);
  assert.deepEqual([seen.payment_status, seen.tasks[0].status], ["paid", "completed"]);
  assert.equal(seen.events.length, before);
  await shop.orderctl("reconcile", "--fix");
  assert.equal((await shown(order, shop)).order_status, "completed");
  assert.ok(
    (await shop.orderctl("orders", "list", "--paid", "-o", "json")).some((one) => one.id === order.id),
  );
});

line("`bulkCreate`", "yes", async (shop) => {
  const { DownloadTask } = shop.models;
  const order = await take(shop);
  const urls = [7, 8, 9].map((n) => `${COURSE}/${n}`);
  await DownloadTask.bulkCreate(urls.map((courseUrl) => ({ orderId: order.id, courseUrl })));
  assert.equal((await shown(order, shop)).tasks.length, 4);
});

line("`upsert` and `findOrCreate` by `orderCode`", "yes", async (shop) => {
  const { Order } = shop.models;
  const order = await take(shop);
  await pay(order, shop);
  const given = { orderCode: order.orderCode, userEmail: "binh@example.com", totalAmount: AMOUNT };
  await Order.upsert(given);
  const seen = await shown(order, shop);
  assert.deepEqual([seen.user_email, seen.payment_status], ["binh@example.com", "paid"]);
  const [found, created] = await Order.findOrCreate({
    where: { orderCode: order.orderCode },
    defaults: given,
  });
  assert.deepEqual([found.id, created], [order.id, false]);
  await assert.rejects(Order.create(given), { name: "SequelizeUniqueConstraintError" });
});

line("`increment` and `decrement`", "yes", async (shop) => {
  const order = await take(shop);
  await order.increment("totalAmount", { by: 1000 });
  await order.decrement("totalAmount", { by: 500 });
  assert.equal((await shown(order, shop)).total_amount, AMOUNT + 500);
});

line("`paranoid: true`: `destroy` and `restore`", "yes", async (shop) => {
  await shop.queryInterface.addColumn("orders", "deleted_at", { type: DataTypes.DATE });
  const Order = shop.extended({ deletedAt: DataTypes.DATE }, { paranoid: true });
  const { id } = await take(shop);
  const order = await Order.findByPk(id);
  await order.destroy();
  assert.equal(await Order.findByPk(id), null);
  await order.restore();
  assert.equal((await shown(order, shop)).id, id);
});

line("`destroy` of an order without events, its tasks first", "yes", async (shop) => {
  const order = await take(shop);
  await shop.models.DownloadTask.destroy({ where: { orderId: order.id } });
  await order.destroy();
  assert.equal((await shop.run("orders", "show", order.orderCode)).status, 3);
});

line("`destroy` of an order or a task that has events", "no", async (shop) => {
  const order = await take(shop);
  await pay(order, shop);
  await order.createEvent({
    taskId: order.tasks[0].id,
    eventType: "note",
    eventCategory: "task",
    severity: "info",
    message: "Called",
  });
  await assert.rejects(order.tasks[0].destroy(), ForeignKeyConstraintError);
  await assert.rejects(order.destroy(), ForeignKeyConstraintError);
  await assert.rejects(shop.models.Order.truncate());
  await shop.models.AuditLog.destroy({ where: { orderId: order.id } });
  await order.tasks[0].destroy();
  await order.destroy();
});

line("`AuditLog.create` by the shop", "yes", async (shop) => {
  const order = await take(shop);
  const event = {
    orderId: order.id,
    taskId: order.tasks[0].id,
    eventType: "invoice_sent",
    eventCategory: "email",
    severity: "warning",
    message: "Đã gửi hóa đơn",
    details: { invoice: 7, to: ["an@example.com"] },
    source: "webhook_handler",
  };
  const { id } = await shop.models.AuditLog.create(event);
  const read = await shop.models.AuditLog.findByPk(id);
  assert.deepEqual(read.details, event.details);
  const [seen] = await shop.orderctl("logs", "show", order.orderCode, "--severity", "warning", "-o", "json");
  assert.deepEqual(
    [seen.id, seen.event_type, seen.message, seen.details, seen.source],
    [id, event.eventType, event.message, event.details, event.source],
  );
});

line("raw queries, the view and the procedures", "yes", async (shop) => {
  const order = await take(shop);
  await pay(order, shop);
  const options = { replacements: { code: order.orderCode }, type: QueryTypes.SELECT };
  const [row] = await shop.sequelize.query("SELECT * FROM orders WHERE order_code = :code", options);
  assert.equal(row.payment_status, "paid");
  const [latest] = await shop.sequelize.query(
    "SELECT event_type FROM v_order_latest_events WHERE order_code = :code",
    options,
  );
  assert.equal(latest.event_type, "payment_received");
  const timeline = await shop.sequelize.query("CALL sp_order_timeline(:code)", {
    replacements: options.replacements,
  });
  assert.ok(timeline.some((event) => event.event_type === "payment_received"));
});

line("`ENUM`s of a model that lacks values which orderctl writes", "yes, but", async (shop) => {
  const older = shop.older();
  const order = await take(shop, {}, 2);
  await shop.orderctl("tasks", "cancel", ...order.tasks.map((task) => String(task.id)));
  const read = await older.models.Order.findByPk(order.id, { include: "tasks" });
  assert.deepEqual([read.orderStatus, read.tasks[0].status], ["cancelled", "cancelled"]);
  await read.update({ userEmail: "binh@example.com" });
  assert.equal(
    await older.models.Order.count({ where: { orderCode: order.orderCode, orderStatus: "cancelled" } }),
    1,
  );
  await older.sequelize.sync();
  await shop.orderctl("migrate", "check");
  const strict = shop.older({ typeValidation: true });
  const counted = strict.models.Order.count({ where: { orderStatus: "cancelled" } });
  await assert.rejects(counted, {
    message: '"cancelled" is not a valid choice in ["pending","processing","completed","failed"]',
  });
});

line("`DECIMAL`s as text", "yes", async (shop) => {
  const { totalAmount } = await (await take(shop, { totalAmount: "1500000.5" })).reload();
  assert.equal(totalAmount, "1500000.50");
});

line('dates with `timezone: "+00:00"`, the default', "yes", async (shop) => {
  const order = await take(shop);
  const seen = await shown(order, shop);
  const soon = Math.abs(new Date(seen.created_at) - Date.now());
  assert.ok(soon < 60_000, seen.created_at);
  assert.equal(
    Math.trunc(new Date(seen.created_at) / 1000),
    Math.trunc((await order.reload()).createdAt / 1000),
  );
});

line('dates with `timezone: "+07:00"`', "yes, but", async (shop) => {
  const other = shop.connect({ timezone: "+07:00" });
  const order = await take(other);
  const ahead = new Date((await shown(order, shop)).created_at) - Date.now();
  assert.ok(Math.abs(ahead - 7 * 3_600_000) < 60_000, String(ahead));
});

line("optimistic locking (`version: true`)", "yes, but", async (shop) => {
  await shop.queryInterface.addColumn("orders", "version", {
    type: DataTypes.INTEGER,
    allowNull: false,
    defaultValue: 0,
  });
  const Order = shop.extended({}, { version: true });
  const { id, orderCode } = await take(shop);
  const [mine, other] = [await Order.findByPk(id), await Order.findByPk(id)];
  await other.update({ userEmail: "binh@example.com" });
  await assert.rejects(mine.update({ userEmail: "chi@example.com" }), {
    name: "SequelizeOptimisticLockError",
  });
  const again = await Order.findByPk(id);
  await pay({ orderCode }, shop);
  await again.update({ userEmail: "chi@example.com" });
  const seen = await shown({ orderCode }, shop);
  assert.deepEqual([seen.user_email, seen.payment_status], ["chi@example.com", "paid"]);
});

line("hooks (`afterCreate`, `afterUpdate` ...)", "yes, but", async (shop) => {
  const heard = [];
  const { Order } = shop.connect().models;
  Order.addHook("afterCreate", () => heard.push("create"));
  Order.addHook("afterUpdate", () => heard.push("update"));
  const order = await take({ models: { Order } });
  await order.update({ userEmail: "binh@example.com" });
  await pay(order, shop);
  assert.deepEqual(heard, ["create", "update"]);
});

line("triggers of the shop", "yes", async (shop) => {
  await shop.sequelize.query("CREATE TABLE changes (code VARCHAR(64), was VARCHAR(16), became VARCHAR(16))");
  await shop.sequelize.query(
    "CREATE TRIGGER orders_changed AFTER UPDATE ON orders FOR EACH ROW" +
      " INSERT INTO changes VALUES (NEW.order_code, OLD.payment_status, NEW.payment_status)",
  );
  const order = await take(shop);
  await pay(order, shop);
  await shop.orderctl("migrate", "up");
  const [[change]] = await shop.sequelize.query("SELECT code, was, became FROM changes");
  assert.deepEqual(change, { code: order.orderCode, was: "pending", became: "paid" });
});

line("`SELECT ... FOR UPDATE` (`lock: true`)", "yes", async (shop) => {
  const { Order } = shop.models;
  const order = await take(shop);
  let paying = null;
  await shop.sequelize.transaction(async (transaction) => {
    const locked = await Order.findByPk(order.id, { transaction, lock: true });
    paying = pay(order, shop);
    const first = await Promise.race([paying, new Promise((resolve) => setTimeout(resolve, 300, "waits"))]);
    assert.equal(first, "waits");
    await locked.update({ userEmail: "binh@example.com" }, { transaction });
  });
  await paying;
  const seen = await shown(order, shop);
  assert.deepEqual([seen.user_email, seen.payment_status], ["binh@example.com", "paid"]);
});

line("a pool of connections that writes beside a worker", "yes, but", async (shop) => {
  const order = await take(shop, {}, 4);
  await pay(order, shop);
  const done = shop.work(order.orderCode);
  const write = (n) =>
    shop.sequelize.transaction(async (transaction) => {
      await order.tasks[n % 4].update({ title: `Course ${n}` }, { transaction });
      const event = { orderId: order.id, eventType: "seen", severity: "debug", message: String(n) };
      await shop.models.AuditLog.create(event, { transaction });
    });
  await Promise.all(Array.from({ length: 60 }, (_, n) => repeatedly(() => write(n))));
  await done;
  assert.equal((await shown(order, shop)).order_status, "completed");
  assert.equal(await order.countEvents({ where: { eventType: "seen" } }), 60);
});

module.exports = lines;
