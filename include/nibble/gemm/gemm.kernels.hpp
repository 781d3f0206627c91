// The kernels of all products.
#pragma once

#include "float.kernels.hpp"
#include "int4.kernels.hpp"
#include "int8.kernels.hpp"
#include "pack_activations.kernels.hpp"
