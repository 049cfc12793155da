import { expect, test } from "vitest";

import { streamed } from "./event-stream.js";

test("events come in order, whether told at once or later", async () => {
  const stream = streamed<number>(async (tell) => {
    tell(1);
    tell(2);
    await Promise.resolve();
    tell(3);
  });
  const heard: number[] = [];
  for await (const event of stream) heard.push(event);
  expect(heard).toEqual([1, 2, 3]);
});

test("an error comes behind the events that were told before it", async () => {
  const stream = streamed<number>((tell) => {
    tell(1);
    return Promise.reject(new Error("broken"));
  });
  const heard: number[] = [];
  const listen = async (): Promise<void> => {
    for await (const event of stream) heard.push(event);
  };
  await expect(listen()).rejects.toThrow("broken");
  expect(heard).toEqual([1]);
});

test("leaving the loop aborts the call, and so does the signal", async () => {
  for (const way of ["leave", "signal"]) {
    let aborted = false;
    const controller = new AbortController();
    const stream = streamed<number>(
      (tell, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = true;
            reject(new DOMException("aborted", "AbortError"));
          });
          tell(1);
        }),
      controller.signal,
    );
    await stream.next();
    if (way === "leave") await stream.return();
    else {
      controller.abort();
      await expect(stream.next()).rejects.toMatchObject({ name: "AbortError" });
    }
    expect(aborted).toBe(true);
  }
});
