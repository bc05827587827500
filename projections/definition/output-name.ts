/** Names of the values of results: they stand in JSON, in tables and in code. */
export const OUTPUT_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
export const NAME_RULE = "a letter or _, then letters, digits or _, 63 at most";
