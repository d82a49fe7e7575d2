"""The only room that knows Hydra and OmegaConf: typed settings in, wired objects and exit codes out."""
