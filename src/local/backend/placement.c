#include "local/backend/placement.h"

#include <assert.h>

// Indices of the devices, fastest first, those that nobody measured last; equals keep their order.
static void sort_devices(const struct placement_device *devices, int n, int *order)
{
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && devices[order[at - 1]].bytes_per_s < devices[i].bytes_per_s; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

// Takes a layer's bytes from what is left; false if they are too many. Sums that overflow are.
static bool take(uint64_t *left, const struct placement_layer *layer)
{
    uint64_t bytes;
    if (__builtin_add_overflow(layer->weights_bytes, layer->kv_bytes, &bytes) || bytes > *left)
        return false;
    *left -= bytes;
    return true;
}

bool placement_make(const struct placement_layer *layers, int n_layers, uint64_t scratch_bytes,
                    const struct placement_device *devices, int n_devices, int *device_of)
{
    int order[PLACEMENT_DEVICES_MAX], next = 0;
    assert(n_devices >= 0 && n_devices <= PLACEMENT_DEVICES_MAX);
    sort_devices(devices, n_devices, order);
    for (int i = 0; i < n_devices && next < n_layers; i++) {
        uint64_t left = devices[order[i]].free_bytes;
        if (left < scratch_bytes)
            continue;
        left -= scratch_bytes;
        while (next < n_layers && take(&left, &layers[next]))
            device_of[next++] = order[i];
    }
    return next == n_layers;
}

double placement_seconds(const struct placement_layer *layers, int n_layers,
                         const struct placement_device *devices, const int *device_of)
{
    double seconds = 0;
    for (int i = 0; i < n_layers; i++) {
        double speed = devices[device_of[i]].bytes_per_s;
        if (speed <= 0)
            return 0;
        seconds += (double)layers[i].read_bytes / speed;
    }
    return seconds;
}
