/** How often tests try each property: `usual` times, or TIDEMARK_PROPERTY_RUNS, for the long run. */
export const propertyRuns = (usual: number): number =>
  Number(process.env["TIDEMARK_PROPERTY_RUNS"] ?? usual);
