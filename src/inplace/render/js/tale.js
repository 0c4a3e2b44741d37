// @ts-check
// What a frame of the film says: sentences on one call and the bytes of one storage.

/** What a call had to do with the bytes, for someone who sees it for the first time.
 * @param {Reel} reel @param {number} step @returns {any[]} */
function tale(reel, step) {
  const { run } = reel;
  const frame = reel.frames[reel.at(step)];
  const code = h("code", {}, run.text(run.form(step).code) || run.text(run.form(step).label));
  if (!frame || frame.step !== step) return [h("p", {}, code, " has nothing to do with these bytes.")];
  /** @type {any[][]} */
  const said = [];
  const { act } = frame;
  if (act & ACT.UNSEEN) said.push([h("b", {}, "Changed unseen."), " Since the call before, something that is no call of PyTorch has changed these bytes; no version counts that."]);
  if (act & ACT.MADE) said.push([code, " makes these bytes: ", `${size(reel.storage.bytes)}, ${versionAt(reel, frame, step)}.`]);
  if (act & ACT.WRITTEN) said.push(...wrote(reel, frame, step, code));
  if (act & ACT.SHARED && !(act & (ACT.MADE | ACT.WRITTEN))) said.push([code, " gives another tensor over the same bytes. Nothing is copied: what is written through one is seen through the other."]);
  if (act & ACT.TAKEN && !(act & ACT.WRITTEN)) said.push([code, " takes these bytes as they are now; its result stands elsewhere."]);
  if (act & ACT.KEPT) said.push(...keptNow(reel, step));
  if (act & ACT.BACKWARD) said.push(...wentBack(reel, step, code));
  if (run.raised.has(step)) said.push([h("span", { class: "ip-bad" }, icon("raised"), ` It raised ${run.raised.get(step)}`)]);
  return said.map((parts) => h("p", {}, ...parts));
}

/** @param {Reel} reel @param {Frame} frame @param {number} step */
function versionAt(reel, frame, step) {
  const tensor = reel.run.tensors.get(frame.rows.find((row) => row.tensor >= 0)?.tensor ?? -1) ?? reel.tensors[0];
  const version = tensor ? reel.run.version(tensor, step) : null;
  return version === null ? "without a version" : `version ${version}`;
}

/** @param {Reel} reel @param {Frame} frame @param {number} step @param {any} code @returns {any[][]} */
function wrote(reel, frame, step, code) {
  const { run } = reel;
  const ids = frame.rows.filter((row) => row.act & ACT.WRITTEN).map((row) => row.tensor);
  const write = run.writes(step).find((one) => ids.includes(one.tensor));
  const moved = !write || write.from < 0 ? "" : write.moved ? `: version ${write.from} → ${write.from + write.moved}` : ", and its version does not move: autograd does not see it";
  const said = [[code, h("b", {}, " writes"), ` into these bytes${moved}.`]];
  const names = [...new Set(reel.tensors.filter((/** @type {any} */ tensor) => run.lives(tensor, step) && ids.some((id) => reel.meets(tensor.id, [id])))
    .flatMap((/** @type {any} */ tensor) => run.namesAt(tensor, step).map((name) => name.name)))];
  if (names.length > 1) said.push([...inWords(names), " reach the same bytes, so all of them see the new values."]);
  for (const hold of reel.holds.filter((one) => one.stale && reel.brokenAt(one) === step)) said.push([h("b", { class: "ip-bad" }, hold.node), ` (${lineAt(run, hold.since)}) keeps these bytes for backward${hold.saved === null ? "" : ` as of version ${hold.saved}`}, and needs them as they were.`]);
  return said;
}

/** @param {Reel} reel @param {number} step @returns {any[][]} */
function keptNow(reel, step) {
  const nodes = [...new Set(reel.holds.filter((hold) => hold.since === step).map((hold) => hold.node))];
  if (!nodes.length) return [];
  return [["Autograd keeps them: ", h("b", {}, nodes.join(", ")), ` needs these bytes again in backward, unchanged.`]];
}

/** @param {Reel} reel @param {number} step @param {any} code @returns {any[][]} */
function wentBack(reel, step, code) {
  return reel.holds.filter((hold) => hold.backwards.includes(step)).slice(0, 3).map((hold) => [
    code, " goes through ", h("b", {}, hold.node), ` (${lineAt(reel.run, hold.since)}), which kept these bytes`,
    hold.stale ? h("b", { class: "ip-bad" }, reel.brokenAt(hold) < step ? `; ${lineAt(reel.run, reel.brokenAt(hold))} has changed them since.` : "; they were changed since.") : ". They are as they were.",
  ]);
}

/** @param {Run} run @param {number} step */
function lineAt(run, step) {
  if (step < 0) return "before";
  const { line } = run.place(step);
  return line ? `line ${line}` : `call ${step + 1}`;
}

/** @param {string[]} names @returns {any[]} */
function inWords(names) {
  const shown = names.slice(0, 4).map((name) => h("b", {}, name));
  return shown.flatMap((one, i) => (i ? [i === shown.length - 1 && names.length <= 4 ? " and " : ", ", one] : [one])).concat(names.length > 4 ? [` and ${names.length - 4} more`] : []);
}
