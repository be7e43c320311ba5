"""The stages of a run, one file each: gather, base, sft, sample, collect, fit_reward, optimize, evaluate."""
