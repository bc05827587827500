/** Version of the code that judges events, as dead letters name it. A test holds it to package.json. */
export const CODE_VERSION = "0.1.0";
