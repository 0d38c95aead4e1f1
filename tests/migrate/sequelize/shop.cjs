// A shop's programs with Sequelize. Goes through the lines of rows.cjs and tables.cjs on databases that the shop and
// orderctl share. Prints one JSON line for each command that orderctl is to run, whose answer comes on stdin, and at the
// end one with the results.
"use strict";

const { execFileSync } = require("node:child_process");
const { createInterface } = require("node:readline");

const { Sequelize } = require("sequelize");
const { SequelizeStorage, Umzug } = require("umzug");

const rows = require("./rows.cjs");
const tables = require("./tables.cjs");

const { PORT, MODELS, ADOPTED, MADE, DUMP, CLIENT } = process.env;
const defineModels = require(MODELS);

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const waiting = [];
const answers = createInterface({ input: process.stdin });
answers.on("line", (text) => waiting.shift()(JSON.parse(text)));
answers.on("close", () => process.exit());

/** Let orderctl do something on a database: one thing after the other. */
const ask = (database, words) =>
  new Promise((resolve) => {
    waiting.push(resolve);
    say({ database, words });
  });

/** The values of the ENUMs in an older version of the shop. */
const OLDER = {
  Order: {
    orderStatus: ["pending", "processing", "completed", "failed"],
    paymentStatus: ["pending", "paid", "failed"],
  },
  DownloadTask: { status: ["pending", "enrolled", "completed", "failed"] },
  AuditLog: { eventCategory: ["payment", "email", "system"], severity: ["info", "warning", "error"] },
};

/** A program of the shop on one database, and orderctl beside it. */
class Shop {
  static opened = [];

  constructor(database, options = {}) {
    this.database = database;
    this.sequelize = new Sequelize(database, "root", "", {
      dialect: "mysql",
      host: "127.0.0.1",
      port: Number(PORT),
      logging: false,
      ...options,
    });
    Shop.opened.push(this.sequelize);
    this.models = defineModels(this.sequelize);
  }

  /** Start another program of the shop on this database. */
  connect(options) {
    return new Shop(this.database, options);
  }

  /** Start an older program of the shop: its ENUMs have fewer values. */
  older(options) {
    const shop = this.connect(options);
    for (const [name, enums] of Object.entries(OLDER)) {
      const model = shop.models[name];
      for (const [attribute, values] of Object.entries(enums)) {
        Object.assign(model.rawAttributes[attribute], { type: new Sequelize.ENUM(...values), values });
      }
      model.refreshAttributes();
    }
    return shop;
  }

  /** Return a model of the orders with further attributes and options. */
  extended(attributes, options) {
    const { Order, DownloadTask } = this.connect().models;
    const all = { ...Order.getAttributes(), ...attributes };
    const common = { tableName: "orders", underscored: true };
    const model = Order.sequelize.define("Extended", all, { ...common, ...options });
    model.hasMany(DownloadTask, { as: "tasks", foreignKey: "orderId" });
    return model;
  }

  /** Run a command of orderctl; return its exit code, output and messages. */
  run(...words) {
    return ask(this.database, words);
  }

  /** Run a command of orderctl that has to succeed; return what it printed. */
  async orderctl(...words) {
    const { status, out, err } = await this.run(...words);
    if (status) throw new Error(`orderctl ${words.join(" ")}: exit ${status}: ${out}${err}`);
    return words.at(-1) === "json" ? JSON.parse(out) : out;
  }

  /** Let a worker of orderctl carry out an order. */
  work(code) {
    return this.run("work", code);
  }

  get queryInterface() {
    return this.sequelize.getQueryInterface();
  }

  /** Apply a migration of the shop, and revert it. */
  async migrate(migration) {
    const umzug = new Umzug({
      migrations: [{ name: "0001-coupon", ...migration }],
      context: this.queryInterface,
      storage: new SequelizeStorage({ sequelize: this.sequelize }),
    });
    await umzug.up();
    await umzug.down();
  }

  /** Copy the database as text into another one. */
  async copy() {
    const server = ["--no-defaults", "--host=127.0.0.1", `--port=${PORT}`, "--user=root"];
    const wanted = ["--single-transaction", "--routines", "--triggers", this.database];
    const input = execFileSync(DUMP, [...server, ...wanted]);
    const copy = `${this.database}_copy`;
    await this.sequelize.query(`CREATE DATABASE ${copy}`);
    execFileSync(CLIENT, [...server, copy], { input });
    return new Shop(copy);
  }
}

/** Show a line on a database; return what went wrong. */
const problem = async ({ show }, shop) => {
  try {
    await show(shop);
    return null;
  } catch (error) {
    return [
      ...error.stack.split("\n").filter((text) => !text.includes("node_modules")),
      error.sql ?? "",
    ].join("\n");
  }
};

const main = async () => {
  const adopted = new Shop(ADOPTED);
  await adopted.older().sequelize.sync();
  const shops = { adopted, made: new Shop(MADE) };
  const results = [];
  for (const shop of Object.values(shops)) await shop.orderctl("migrate", "up");
  for (const line of [...rows, ...tables]) {
    const problems = [];
    for (const [name, shop] of Object.entries(shops)) {
      const what = await problem(line, shop);
      if (what) problems.push(` (on the tables ${name}): ${what}`);
    }
    results.push({ title: line.title, works: line.works, problems });
  }
  await Promise.all(Shop.opened.map((sequelize) => sequelize.close()));
  say({ results });
};

main();
