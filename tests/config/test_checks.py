import pytest

from sprig.config.checks import check_monitor, check_train


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.seq_len=0"], "data.seq_len=0 must be at least 1"),
        (["data.seq_len=64", "model.max_position_embeddings=50"], "longer than the model's context"),
        (["model.num_attention_heads=3", "model.num_key_value_heads=3"], "does not divide model.hidden_size=64"),
        (["model.num_key_value_heads=4"], "no multiple of"),
        (["model.head_dim=31"], "odd"),
        (["model.vocab_size=999"], "set data.vocab_size only"),
        (["model.attention_bias=true"], "no Hugging Face model has both"),
        (["data.batch_size=0"], "data.batch_size=0 must be at least 1"),
        (["data.val_fraction=1.0"], "must be between 0 and 1"),
        (["data.val_fraction=0"], "must be between 0 and 1"),
        (["data.layout=dense"], "padded, packed"),
        (["data.limit=1"], "at least 2"),
        (["+data.filters.max_line_length=1k"], "data.filters.max_line_length='1k' must be a whole number, or null"),
        (["+data.filters.max_lines=true"], "data.filters.max_lines=True must be a whole number, or null"),
        (["+data.filters.encoded_data=[0.5]"], "data.filters.encoded_data=[0.5] must be a number, or null"),
        (["+data.filters.max_line=1"], "data.filters.max_line is no filter; did you mean max_lines?"),
        (["data.cleaning_seconds=0"], "data.cleaning_seconds must be above 0"),
        (["data.cleaning_seconds=inf"], "and at most 86400"),
        (["data.seed=-1"], "data.seed=-1 must be at least 0"),
        (["data.cleaning_megabytes=0"], "data.cleaning_megabytes at least 1"),
        (["data.decontaminate_ngram=0"], "data.decontaminate_ngram must be at least 1"),
        (["data.decontaminate_share=1.5"], "decontaminate_share above 0 and at most 1"),
        (["data.decontaminate_characters=-1"], "decontaminate_characters at least 0"),
        (["data.licenses=null"], "data.licenses: None must be"),
        (["data.licenses=[1]"], "data.licenses: [1] must be"),
        (["optim.name=sgd"], "choose muon or adamw"),
        (["optim.lr=0"], "must be above 0"),
        (["optim.lr=nan"], "must be above 0 and finite"),
        (["seed=-1"], "seed=-1 must be in"),
        (["optim.warmup=0.7", "optim.warmdown=0.7"], "together at most 1"),
        (["trainer.max_epochs=0"], "zero steps"),
        (["trainer.limit_train_batches=0"], "zero steps"),
        (["callbacks.monitor=val/runs"], "is not measured"),  # no header is held out in these settings
        (["trainer.max_epochs=null"], "no end to fall towards"),
        (["callbacks.mode=lowest"], "min or max"),
        (["callbacks.save_every_minutes=0"], "callbacks.save_every_minutes=0.0 must be above 0"),
        (["callbacks.save_every_steps=0"], "callbacks.save_every_steps=0 must be at least 1"),
        (["logger.name=mlflow"], "choose wandb, tensorboard or csv"),
        (["trainer.devices=0"], "trainer.devices=0 must be at least 1"),
        (["trainer.strategy=dp"], "must be one of: auto, ddp, fsdp"),
        (["callbacks.monitor=val/los"], "is not measured. There are: val/loss"),
        (["data.source=nowhere"], "There are: folder, git, hub"),
        (["trainer.gradient_clip_val=-1"], "trainer.gradient_clip_val=-1.0 must be at least 0; null leaves"),
        (["trainer.gradient_clip_val=nan"], "trainer.gradient_clip_val=nan must be at least 0"),
        (["trainer.check_val_every_n_epoch=0"], "trainer.check_val_every_n_epoch=0 must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_two_lines_at_most(overrides, message, settings):
    with pytest.raises(ValueError, match=r"\w") as error:
        check_train(settings(*overrides))
    assert message in str(error.value)
    assert str(error.value).count("\n") <= 1


def test_the_shipped_settings_are_accepted(settings):
    check_train(settings(base=["name=x"]))


def test_a_filter_is_switched_off_by_null_and_takes_a_whole_number_for_a_share(settings):
    check_train(settings("+data.filters.max_lines=null", "+data.filters.encoded_data=1"))


def test_what_only_the_data_can_tell_not_to_be_measured_is_refused_then(settings):
    watching_runs = settings("callbacks.monitor=val/runs", "callbacks.held_out_headers=5")
    check_train(watching_runs)
    with pytest.raises(ValueError, match="val/runs"):
        check_monitor(watching_runs, functions=False, headers=True)
    with pytest.raises(ValueError, match="val/body_loss"):
        check_monitor(settings("callbacks.monitor=val/body_loss"), functions=True, headers=False)
