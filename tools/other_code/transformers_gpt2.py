"""A tiny GPT-2 with random weights, trained by AdamW with a schedule and clipping."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, get_linear_schedule_with_warmup

torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
schedule = get_linear_schedule_with_warmup(optimizer, 2, 6)
model.train()
for _ in range(6):
    tokens = torch.randint(0, 64, (4, 16))
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
model.eval()
model.generate(torch.randint(0, 64, (1, 4)), max_new_tokens=4, do_sample=False, pad_token_id=0)
