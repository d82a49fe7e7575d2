"""What must fit together between groups, checked before any data is read."""

from sprig.config.schema import TrainConfig
from sprig.data import sources
from sprig.data.cleaning import filters, licenses
from sprig.data.config import AUTO, DataConfig

LAYOUTS = ("padded", "packed")
STRATEGIES = ("auto", "ddp", "fsdp")
UNITS = ("file", "function")
_DAY = 86_400  # seconds


def check_train(settings: TrainConfig) -> None:
    """Raise ValueError, in one or two lines, for settings that cannot be trained with."""
    check_data(settings.data)
    if not 0 <= settings.seed < 2**32:
        raise ValueError(f"seed={settings.seed} must be in [0, 2**32).")
    settings.model.check()
    settings.optim.check()
    if settings.data.seq_len > settings.model.max_position_embeddings:
        raise ValueError(
            f"data.seq_len={settings.data.seq_len} is longer than the model's context, "
            f"model.max_position_embeddings={settings.model.max_position_embeddings}."
        )
    if settings.model.init_from is None and settings.model.vocab_size != settings.data.vocab_size:
        raise ValueError(
            f"model.vocab_size={settings.model.vocab_size} differs from data.vocab_size={settings.data.vocab_size}: "
            f"set data.vocab_size only, the model follows it."
        )
    trainer = settings.trainer
    if trainer.max_epochs is None and trainer.max_steps < 0 and trainer.max_time is None:
        raise ValueError(
            "The learning rate has no end to fall towards: set trainer.max_epochs, max_steps or max_time (DD:HH:MM:SS)."
        )
    if 0 in (trainer.max_epochs, trainer.max_steps, trainer.limit_train_batches) or (trainer.max_epochs or 1) < 0:
        raise ValueError(
            "A run of zero steps trains nothing: raise trainer.max_epochs, max_steps or limit_train_batches."
        )
    if trainer.compile not in (True, False, "auto"):
        raise ValueError(f"trainer.compile={trainer.compile!r} must be true, false or auto.")
    if trainer.devices < 1 and trainer.devices != -1:
        raise ValueError(f"trainer.devices={trainer.devices} must be at least 1, or -1 for all.")
    if trainer.strategy not in STRATEGIES:
        raise ValueError(f"trainer.strategy={trainer.strategy!r} must be one of: {', '.join(STRATEGIES)}.")
    if trainer.strategy == "fsdp" and settings.data.batch_size == AUTO:
        raise ValueError(
            "data.batch_size=auto tries steps of a model that is whole, which trainer.strategy=fsdp shares out: "
            "set data.batch_size to a number."
        )
    check_monitor(settings, functions=settings.callbacks.held_out_headers > 0, headers=True)
    if settings.callbacks.mode not in ("min", "max"):
        raise ValueError(f"callbacks.mode={settings.callbacks.mode!r} must be min or max.")
    for name, value in (
        ("trainer.accumulate_grad_batches", trainer.accumulate_grad_batches),
        ("trainer.log_every_n_steps", trainer.log_every_n_steps),
        ("trainer.check_val_every_n_epoch", trainer.check_val_every_n_epoch),
        ("callbacks.early_stopping_patience", settings.callbacks.early_stopping_patience),
        ("callbacks.save_every_steps", settings.callbacks.save_every_steps),
    ):
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be at least 1.")
    clip = trainer.gradient_clip_val
    if clip is not None and not clip >= 0:  # a negative one would turn every gradient round
        raise ValueError(f"trainer.gradient_clip_val={clip} must be at least 0; null leaves gradients as they are.")
    every = settings.callbacks.save_every_minutes
    if every is not None and not every > 0:
        raise ValueError(f"callbacks.save_every_minutes={every} must be above 0, or null.")
    if trainer.val_check_interval is not None and trainer.val_check_interval <= 0:
        raise ValueError(f"trainer.val_check_interval={trainer.val_check_interval} must be above 0.")
    if settings.callbacks.held_out_headers < 0:
        raise ValueError("callbacks.held_out_headers must be 0 (none) or more.")
    if settings.logger.name not in ("wandb", "tensorboard", "csv"):
        raise ValueError(f"logger.name={settings.logger.name!r} is no logger: choose wandb, tensorboard or csv.")


def check_monitor(settings: TrainConfig, *, functions: bool, headers: bool) -> None:
    """Raise ValueError if callbacks.monitor will not be measured.

    functions says whether held-out functions will be written and judged, headers whether documents start with one.
    """
    names = [name for name in settings.metrics.names if headers or not name.startswith("body_")]
    measured = [f"val/{name}" for name in (*names, *(("exact", "runs") if functions else ()))]
    if settings.callbacks.monitor not in measured:
        raise ValueError(
            f"callbacks.monitor={settings.callbacks.monitor!r} is not measured. There are: {', '.join(measured)}."
        )


def check_data(data: DataConfig) -> None:
    """Raise ValueError for settings of the data that are out of their range."""
    sources.load(data.source)
    if type(data.vocab_size) is not int and data.vocab_size != AUTO:
        raise ValueError(f"data.vocab_size={data.vocab_size!r:.80} must be a number of tokens, or auto.")
    if data.seq_len < 1:
        raise ValueError(f"data.seq_len={data.seq_len} must be at least 1.")
    if type(data.batch_size) is not int and data.batch_size != AUTO:
        raise ValueError(f"data.batch_size={data.batch_size!r:.80} must be a number of rows, or auto.")
    if data.batch_size != AUTO and data.batch_size < 1:
        raise ValueError(f"data.batch_size={data.batch_size} must be at least 1.")
    if not 0 < data.val_fraction < 1:
        raise ValueError(f"data.val_fraction={data.val_fraction} must be between 0 and 1, both excluded.")
    if data.limit is not None and data.limit < 2:
        raise ValueError(f"data.limit={data.limit} must be at least 2, one document for each side of the split.")
    if data.unit not in UNITS:
        raise ValueError(f"data.unit={data.unit!r} must be one of: {', '.join(UNITS)}.")
    if not 0 <= data.fim_rate <= 1:
        raise ValueError(f"data.fim_rate={data.fim_rate} must be between 0 and 1.")
    if data.near_duplicates is not None and not 0 < data.near_duplicates <= 1:
        raise ValueError(f"data.near_duplicates={data.near_duplicates} must be above 0 and at most 1, or null.")
    if data.repositories and data.fim_rate:
        raise ValueError(
            "data.repositories=true joins files, which data.fim_rate would cut apart: set data.fim_rate=0."
        )
    if not 0 < data.cleaning_seconds <= _DAY or data.cleaning_megabytes < 1:
        raise ValueError(
            f"data.cleaning_seconds must be above 0 and at most {_DAY}, and data.cleaning_megabytes at least 1."
        )
    if data.decontaminate_ngram < 1 or data.decontaminate_characters < 0 or not 0 < data.decontaminate_share <= 1:
        raise ValueError(
            "data.decontaminate_ngram must be at least 1, decontaminate_characters at least 0, and decontaminate_share "
            "above 0 and at most 1."
        )
    if data.seed < 0:
        raise ValueError(f"data.seed={data.seed} must be at least 0.")
    filters.chosen(data.filters)
    licenses.allowed("", data.licenses)
    if data.layout not in LAYOUTS:
        raise ValueError(f"data.layout={data.layout!r} must be one of: {', '.join(LAYOUTS)}.")
