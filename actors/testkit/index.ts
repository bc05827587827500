/** What `import ... from "tidemark/testkit"` gives: projections tested on virtual time. See docs/TESTKIT.md. */
export { CaseError } from "./case.ts";
export type {
  Account,
  Case,
  CaseMistake,
  CaseValue,
  EventStep,
  Expectation,
  Expectations,
  ExpectedDeadLetter,
  ExpectedUpdate,
  InlineTopic,
  Scalar,
  Span,
  Step,
  Time,
} from "./case.ts";
export { parseCase } from "./case-file.ts";
export type { CaseFile } from "./case-file.ts";
export type { FindProjection, NamedProjection } from "./case-plan.ts";
export type { DiffRow } from "./diff-case.ts";
export { renderFailures, runCase, runContent } from "./run-case.ts";
export type { CaseFailure, CaseResult, RunOptions } from "./run-case.ts";
export { assertCase, CaseFailed, ProjectionTest, testProjection } from "./test-projection.ts";
export type { TestOptions, Where } from "./test-projection.ts";
