// Orders as the shop takes them, and as orderctl shows and pays them.
"use strict";

const COURSE = "https://courses.example.com/1";
const AMOUNT = 300_000;

let codes = 0;
const newCode = () => {
  codes += 1;
  return `DH${String(codes).padStart(6, "0")}`;
};

/** Return an order that the shop takes, with one task for each course. */
const take = (shop, more = {}, courses = 1) =>
  shop.models.Order.create(
    {
      orderCode: newCode(),
      userEmail: "an@example.com",
      totalAmount: AMOUNT,
      tasks: Array.from({ length: courses }, (_, n) => ({ courseUrl: `${COURSE}/${n}` })),
      ...more,
    },
    { include: "tasks" },
  );

/** Return an order as orderctl shows it, with its tasks and events. */
const shown = ({ orderCode }, shop) => shop.orderctl("orders", "show", orderCode, "-o", "json");

const pay = ({ orderCode }, shop) => shop.orderctl("orders", "pay", orderCode, "--amount", String(AMOUNT));

module.exports = { AMOUNT, COURSE, newCode, pay, shown, take };
