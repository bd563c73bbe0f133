// placement.h - which device holds which layer of a model: a pure function of numbers.
//
// Layers are placed in runs, so that activations change devices at most once a device, and the
// fastest memory is filled first. That is the best there is for this order of devices: if any
// split of the layers into runs fits, this one does. Nothing here allocates or asks the system, so
// a test can imagine any machine. Threads: any.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLACEMENT_DEVICES_MAX = 16 };

// What is read or written in step with a layer belongs to it: the embedding to the first, the
// output to the last.
struct placement_layer {
    uint64_t weights_bytes;
    uint64_t kv_bytes;    // keys and values of the context that is wished for
    uint64_t read_bytes;  // of the weights, for one token; less than all in a mixture of experts
};
struct placement_device {
    uint64_t free_bytes;
    double bytes_per_s;  // how fast it reads its memory; 0: nobody knows, and it is filled last
};

// Fills device_of[n_layers] with indices of devices. scratch_bytes are needed on every device that
// holds a layer. False, and device_of is meaningless, if the layers do not fit. At most
// PLACEMENT_DEVICES_MAX devices (asserted).
bool placement_make(const struct placement_layer *layers, int n_layers, uint64_t scratch_bytes,
                    const struct placement_device *devices, int n_devices, int *device_of);

// The least time for one token at the start of a text: reading the weights once, one device after
// another. 0 where a device's speed is unknown.
double placement_seconds(const struct placement_layer *layers, int n_layers,
                         const struct placement_device *devices, const int *device_of);
