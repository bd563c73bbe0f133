// activation.h - the nonlinear functions of feed-forward layers.
#pragma once

enum activation { ACT_SILU, ACT_GELU_TANH, ACT_GELU_ERF, ACT_RELU, ACT_RELU2 };
