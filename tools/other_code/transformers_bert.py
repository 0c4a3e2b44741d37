"""A tiny BERT for classification, trained by transformers' own Trainer."""

import tempfile

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

torch.manual_seed(0)
config = BertConfig(
    vocab_size=64,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=32,
)
model = BertForSequenceClassification(config)
examples = [
    {
        "input_ids": torch.randint(0, 64, (12,)),
        "attention_mask": torch.ones(12, dtype=torch.long),
        "labels": torch.tensor(number % 2),
    }
    for number in range(16)
]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder,
        max_steps=4,
        per_device_train_batch_size=4,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        logging_strategy="no",
        use_cpu=True,
    )
    Trainer(model=model, args=arguments, train_dataset=examples, eval_dataset=examples).train()
