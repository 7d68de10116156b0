#include "tensor/tensor.hpp"

#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/graph.hpp"
#include "tensor/cuda/pinned.hpp"

#include <atomic>
#include <cstring>

namespace microtome {
namespace {

uint64_t next_id() {
    static std::atomic<uint64_t> last{0};
    return ++last;
}

}  // namespace

Tensor::Tensor(const Spec& spec)
    : storage_(Storage::allocate(spec.bytes(), spec.device)), spec_(spec), id_(next_id()) {}

Tensor Tensor::abstract(const Spec& spec) {
    Tensor result;
    result.spec_ = spec;
    result.id_ = next_id();
    return result;
}

Tensor Tensor::zeros(const Shape& shape, Dtype dtype, Device device) {
    return full(shape, 0, dtype, device);
}

Tensor Tensor::full(const Shape& shape, double value, Dtype dtype, Device device) {
    Tensor result(Spec{shape, dtype, device});
    if (cuda::on_cuda(result)) {
        cuda::fill(result, value);
        return result;
    }
    visit_dtype(dtype, [&]<class T>() {
        auto elements = result.mutable_data<T>();
        if constexpr (std::is_same_v<T, bfloat16>)
            std::fill(elements.begin(), elements.end(), bfloat16(static_cast<float>(value)));
        else
            std::fill(elements.begin(), elements.end(), static_cast<T>(value));
    });
    return result;
}

Tensor Tensor::scalar(double value, Dtype dtype, Device device) {
    return full({}, value, dtype, device);
}

void Tensor::require_readable(Dtype wanted) const {
    if (!defined()) throw ShapeError("tensor", "expected a tensor, got an undefined one");
    if (dtype() != wanted)
        throw DtypeError("tensor", str("expected elements of ", wanted, ", got ", spec_), "cast() converts");
    if (device().kind != Device::Kind::cpu)
        throw DeviceError("tensor", str("expected a tensor on the cpu, got ", spec_),
                          "to(kCpu) copies it there");
    if (storage_ == nullptr)
        throw ShapeError(
            "tensor", str("expected elements, got the abstract tensor ", spec_, ", which has only a shape"));
}

std::byte* Tensor::mutable_raw() {
    if (storage_ == nullptr) return nullptr;
    storage_->touch();
    return storage_->data() + offset_;
}

double Tensor::item() const {
    if (!defined() || elements() != 1)
        throw ShapeError("item", defined() ? str("expected one element, got ", spec_)
                                           : "expected one element, got no tensor");
    if (cuda::on_cuda(*this)) return to(kCpu).item();
    return visit_dtype(dtype(), [&]<class T>() {
        if constexpr (std::is_same_v<T, bfloat16>)
            return static_cast<double>(static_cast<float>(data<T>()[0]));
        else
            return static_cast<double>(data<T>()[0]);
    });
}

Tensor Tensor::clone() const {
    if (!defined()) return {};
    if (is_abstract()) return abstract(spec_);
    Tensor result(spec_);
    result.copy_from(*this);
    return result;
}

Tensor Tensor::to(Device device) const {
    if (!defined() || this->device() == device) return *this;
    Spec spec = spec_;
    spec.device = device;
    if (is_abstract()) return abstract(spec);
    Tensor result(spec);
    result.copy_from(*this);
    return result;
}

void Tensor::copy_from(const Tensor& other) {
    if (!defined() || !other.defined() || shape() != other.shape() || dtype() != other.dtype())
        throw ShapeError("copy_from", str("expected ", spec_, ", got ", other.spec_));
    if (is_abstract() || other.is_abstract()) throw ShapeError("copy_from", "expected tensors with elements");
    if (elements() == 0) return;
    if (!cuda::on_cuda(*this) && !cuda::on_cuda(other)) {
        std::memmove(mutable_raw(), other.raw(), spec_.bytes());
        return;
    }
    const Device gpu = cuda::on_cuda(*this) ? device() : other.device();
    if (!(device() == other.device())) cuda::require_not_capturing("copy_from");
    if (other.device() == kCpu && spec_.bytes() <= cuda::kMostUpload)
        return cuda::upload(gpu, mutable_raw(), other.raw(), spec_.bytes());
    const cuda::Backend& backend = cuda::backend_of(gpu);
    backend.copy(backend.stream(gpu.index), device(), mutable_raw(), other.device(), other.raw(),
                 spec_.bytes());
}

Tensor Tensor::view(const Shape& shape, int64_t offset) const {
    if (!defined()) throw ShapeError("view", "expected a tensor, got an undefined one");
    if (offset < 0 || offset > elements() - shape.elements())
        throw ShapeError("view", str("expected at most the ", elements(), " elements of ", spec_, ", got ",
                                     shape, " from element ", offset, " on"));
    Tensor result = *this;
    result.spec_.shape = shape;
    result.offset_ += static_cast<std::size_t>(offset) * size_of(dtype());
    result.id_ = next_id();
    return result;
}

Tensor Tensor::placed(const Spec& spec, int64_t offset) const {
    if (storage_ == nullptr || offset < 0 ||
        static_cast<std::size_t>(offset) + spec.bytes() > spec_.bytes() || !(spec.device == device()))
        throw ShapeError("placed",
                         str("expected memory for ", spec, " from byte ", offset, " on, got ", spec_));
    if ((offset_ + static_cast<std::size_t>(offset)) % size_of(spec.dtype) != 0)
        throw ShapeError("placed", str("expected a place at a multiple of ", size_of(spec.dtype),
                                       " bytes for ", spec, ", got ", offset));
    Tensor result = *this;
    result.spec_ = spec;
    result.offset_ += static_cast<std::size_t>(offset);
    result.id_ = next_id();
    return result;
}

bool identical(const Tensor& a, const Tensor& b) {
    if (a.defined() != b.defined()) return false;
    if (!a.defined()) return true;
    if (!(a.spec() == b.spec()) || a.is_abstract() != b.is_abstract()) return false;
    if (cuda::on_cuda(a) && !a.is_abstract()) return identical(a.to(kCpu), b.to(kCpu));
    return a.is_abstract() || a.elements() == 0 || std::memcmp(a.raw(), b.raw(), a.spec().bytes()) == 0;
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
    if (!tensor.defined()) return out << "undefined";
    out << tensor.spec();
    if (tensor.is_abstract()) return out << " (abstract)";
    const Tensor here = tensor.to(kCpu);
    constexpr int64_t kShown = 8;
    out << " [";
    visit_dtype(tensor.dtype(), [&]<class T>() {
        auto elements = here.data<T>();
        for (int64_t i = 0; i < std::min(kShown, tensor.elements()); ++i) {
            out << (i ? ", " : "");
            if constexpr (std::is_same_v<T, bfloat16>)
                out << static_cast<float>(elements[i]);
            else if constexpr (std::is_same_v<T, Dual>)
                out << elements[i].value << " + " << elements[i].tangent << " e";
            else
                out << +elements[i];
        }
    });
    return out << (tensor.elements() > kShown ? ", ...]" : "]");
}

}  // namespace microtome
