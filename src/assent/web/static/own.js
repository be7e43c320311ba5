/** The page about oneself: days in the reader's own time. */

import { localize } from "./moments.js";

localize(document);
