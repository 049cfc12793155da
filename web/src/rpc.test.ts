import { afterEach, describe, expect, test } from "vitest";

import { TeaError } from "./errors.js";
import { Caller, serve, type Methods } from "./rpc.js";

const channels: MessageChannel[] = [];

function connected(methods: Methods): Caller {
  const channel = new MessageChannel();
  channels.push(channel);
  serve(channel.port1, methods);
  return new Caller(channel.port2);
}

afterEach(() => {
  for (const { port1, port2 } of channels.splice(0)) {
    port1.close();
    port2.close();
  }
});

describe("a call over a port", () => {
  test("gives the method's result", async () => {
    const caller = connected({ double: (value: number) => value * 2 });
    expect(await caller.call("double", 21)).toBe(42);
  });

  test("hears events in order, before the result", async () => {
    const caller = connected({
      count: (upto: number, { emit }) => {
        for (let n = 1; n <= upto; n++) emit(n);
        return "done";
      },
    });
    const heard: unknown[] = [];
    expect(await caller.call("count", 3, { onEvent: (event) => heard.push(event) })).toBe("done");
    expect(heard).toEqual([1, 2, 3]);
  });

  test("keeps the name and the problems of an error", async () => {
    const caller = connected({
      fail: () => {
        throw TeaError.of("BadParameters", "temperature is -1", "give a number from 0 to 100", "chat");
      },
    });
    await expect(caller.call("fail", null)).rejects.toMatchObject({
      name: "BadParameters",
      message: "chat: temperature is -1; give a number from 0 to 100",
    });
  });

  test("that is aborted rejects at once and the server hears of it", async () => {
    let heard: () => void = () => undefined;
    const told = new Promise<void>((resolve) => (heard = resolve));
    const caller = connected({
      wait: (_: null, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            heard();
            reject(new Error("too late"));
          });
        }),
    });
    const controller = new AbortController();
    const call = caller.call("wait", null, { signal: controller.signal });
    controller.abort();
    await expect(call).rejects.toMatchObject({ name: "AbortError" });
    await told;
  });

  test("to a method that isn't there says so", async () => {
    await expect(connected({}).call("nothing", null)).rejects.toThrow("no method nothing");
  });

  test("fails when the other end is given up", async () => {
    const caller = connected({ wait: () => new Promise(() => undefined) });
    const call = caller.call("wait", null);
    caller.fail(new Error("the worker died"));
    await expect(call).rejects.toThrow("the worker died");
    await expect(caller.call("wait", null)).rejects.toThrow("the worker died");
  });
});
