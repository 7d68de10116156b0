// Tensor: a value that shares storage. Row-major, contiguous, always.
//
// Copying a Tensor copies a handle. Arithmetic on tensors lives in autograd/ops.hpp, because every operation
// has a gradient; this file knows nothing of gradients. All it contributes is an identity: each result of an
// operation is a new variable with an id of its own, and a tape recognises its variables by that id.
#pragma once

#include "tensor/device.hpp"
#include "tensor/dtype.hpp"
#include "tensor/shape.hpp"
#include "tensor/storage.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace microtome {

// All there is to know of a tensor but its elements.
struct Spec {
    Shape shape;
    Dtype dtype = Dtype::f32;
    Device device = kCpu;

    std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * size_of(dtype); }
    friend bool operator==(const Spec&, const Spec&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Spec& spec) {
        out << spec.dtype << spec.shape;
        return spec.device == kCpu ? out : out << '@' << spec.device;
    }
};

class Tensor {
  public:
    Tensor() = default;                 // no tensor: defined() is false
    explicit Tensor(const Spec& spec);  // elements uninitialised

    // A tensor without elements: operations on it run their shape rules only. data() throws.
    static Tensor abstract(const Spec& spec);

    static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, Device device = kCpu);
    static Tensor full(const Shape& shape, double value, Dtype dtype = Dtype::f32, Device device = kCpu);
    static Tensor scalar(double value, Dtype dtype = Dtype::f32, Device device = kCpu);

    // The elements in row-major order. Throws ShapeError when their number is not shape's.
    template <class T>
    static Tensor of(std::span<const T> values, const Shape& shape);
    template <class T>
    static Tensor of(std::initializer_list<T> values, const Shape& shape) {
        return of(std::span<const T>(values.begin(), values.size()), shape);
    }
    template <class T>
    static Tensor of(const std::vector<T>& values, const Shape& shape) {
        return of(std::span<const T>(values), shape);
    }

    bool defined() const { return id_ != 0; }
    bool is_abstract() const { return defined() && storage_ == nullptr; }
    const Spec& spec() const { return spec_; }
    const Shape& shape() const { return spec_.shape; }
    int64_t size(int axis) const { return spec_.shape[axis]; }
    int rank() const { return spec_.shape.rank(); }
    int64_t elements() const { return spec_.shape.elements(); }
    Dtype dtype() const { return spec_.dtype; }
    Device device() const { return spec_.device; }

    // Read the elements. Throws DtypeError for another T, DeviceError off the CPU, ShapeError when undefined
    // or abstract.
    template <class T>
    std::span<const T> data() const;

    // Write the elements. Every call counts as a write: a tape that saved this storage will refuse to use it.
    template <class T>
    std::span<T> mutable_data();

    // The only element, as a double.
    double item() const;

    // The same elements on another device, not tracked by any tape; itself if it is there already.
    Tensor to(Device device) const;

    // A copy with elements of its own; not tracked by any tape.
    Tensor clone() const;

    // Overwrites the elements with other's. Shapes and types must agree.
    void copy_from(const Tensor& other);

    // The same elements under another shape or from row `begin` of the first axis on, sharing storage, as a
    // new variable that no tape tracks. The differentiable forms are reshape() and slice() in
    // autograd/ops.hpp.
    Tensor view(const Shape& shape, int64_t offset = 0) const;

    // A tensor in this one's memory, from byte `offset` on: how a plan places its values in one block. Throws
    // ShapeError when it does not fit inside, or lies where elements of its type cannot.
    Tensor placed(const Spec& spec, int64_t offset) const;

    uint64_t id() const { return id_; }
    uint64_t version() const { return storage_ ? storage_->version() : 0; }
    const Storage* storage() const { return storage_.get(); }  // null when abstract
    bool shares_storage_with(const Tensor& other) const { return storage_ && storage_ == other.storage_; }

    // The address of the first element on whatever device; for kernels, which have checked already.
    const std::byte* raw() const { return storage_ ? storage_->data() + offset_ : nullptr; }
    std::byte* mutable_raw();

  private:
    void require_readable(Dtype wanted) const;

    std::shared_ptr<Storage> storage_;
    std::size_t offset_ = 0;  // in bytes
    Spec spec_;
    uint64_t id_ = 0;  // 0: undefined
};

using Tensors = std::vector<Tensor>;
using Specs = std::vector<Spec>;

// The same bits, shape and type.
bool identical(const Tensor& a, const Tensor& b);

// A few elements, shape and type, for messages and teaching.
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

template <class T>
std::span<const T> Tensor::data() const {
    require_readable(dtype_of<T>());
    return {reinterpret_cast<const T*>(raw()), static_cast<std::size_t>(elements())};
}

template <class T>
std::span<T> Tensor::mutable_data() {
    require_readable(dtype_of<T>());
    return {reinterpret_cast<T*>(mutable_raw()), static_cast<std::size_t>(elements())};
}

template <class T>
Tensor Tensor::of(std::span<const T> values, const Shape& shape) {
    if (static_cast<int64_t>(values.size()) != shape.elements())
        throw ShapeError(
            "tensor", str("expected ", shape.elements(), " elements for ", shape, ", got ", values.size()));
    Tensor result(Spec{shape, dtype_of<T>(), kCpu});
    std::copy(values.begin(), values.end(), result.mutable_data<T>().begin());
    return result;
}

}  // namespace microtome
