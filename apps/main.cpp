// The `microtome` command: declares every subcommand's options and hands over to its file. The one file that
// includes CLI11, which is slow to compile.
#include "apps/attack.hpp"
#include "apps/bench.hpp"
#include "apps/command.hpp"
#include "apps/data_audit.hpp"
#include "apps/data_synth.hpp"
#include "apps/evaluate.hpp"
#include "apps/gradcheck.hpp"
#include "apps/gradcheck_model.hpp"
#include "apps/harden.hpp"
#include "apps/model.hpp"
#include "apps/precision.hpp"
#include "apps/study.hpp"
#include "apps/train.hpp"
#include "apps/train_settings.hpp"
#include "base/error.hpp"
#include "base/suggest.hpp"
#include "base/version.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/context.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <new>
#include <optional>
#include <unistd.h>

namespace microtome::apps {
namespace {

constexpr const char* kAbout =
    "microtome slices an image classifier's decision, and an attack on it, into gradients thin enough to\n"
    "inspect.";

constexpr const char* kExitStatus =
    "Exit status: 0 done, 1 a check failed, 2 wrong use, 3 bad input, 4 the machine failed us.";

// Whether there is a GPU, as far as can be seen without its driver, which takes a while to start.
bool gpu_in_sight() {
    std::error_code ignored;
    return std::filesystem::exists("/dev/nvidiactl", ignored) || std::filesystem::exists("/dev/dxg", ignored);
}

// The first line of every run: what the numbers below it were calculated with.
std::string banner(Device device, bool may_be_cuda) {
    int threads = thread_limit();
    std::string where = str(device);
    if (device != kCpu) {
        where += str(", ", cuda::backend_of(device).device_name(device.index));
        if (product_mode().precision != Precision::f32) where += str(", ", product_mode().precision);
    } else if (may_be_cuda && cuda::backend() != nullptr && !gpu_in_sight())
        where += " (there is no GPU)";
    return str("microtome ", kVersion, "  ", cpu::isa_name(cpu::active_isa()), "  ", threads,
               threads == 1 ? " thread" : " threads", "  ", where);
}

int fail(ExitStatus status, std::string_view what) {
    std::cerr << "microtome: " << what << '\n';
    return status;
}

// The command line: subcommands, and what to do for each.
class CommandLine {
  public:
    CommandLine() : app_(kAbout, "microtome") {
        app_.set_version_flag("--version", str("microtome ", kVersion), "print the version");
        app_.set_help_flag("-h,--help", "print this help");
        app_.footer(str("`microtome COMMAND --help` says what each of them does.\n", kExitStatus));
        app_.require_subcommand(1);
        app_.get_formatter()->column_width(28);
        add_data();
        add_train();
        add_attack();
        add_harden();
        add_evaluate();
        add_bench();
        add_model();
        add_gradcheck();
        add_study();
    }

    int run(int argc, char** argv) {
        if (argc == 1) {
            std::cerr << app_.help();
            return kWrongUse;
        }
        std::vector<std::string> names;
        for (CLI::App* command : app_.get_subcommands({})) names.push_back(command->get_name());
        std::string first = argv[1];
        if (!first.starts_with('-') && std::find(names.begin(), names.end(), first) == names.end()) {
            std::string meant = closest_name(first, names);
            std::string advice =
                meant.empty() ? "`microtome --help` lists them" : "Did you mean " + meant + "?";
            return fail(kWrongUse, str("'", first, "' is no command of microtome. ", advice));
        }
        for (int i = 0; i < argc; ++i)
            study_.command += (i > 0 ? " " : "") + std::string(i > 0 ? argv[i] : "microtome");
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app_.exit(error) == 0 ? kDone : kWrongUse;
        }
        std::optional<ThreadLimit> limit;
        if (common_.threads != 0) limit.emplace(common_.threads);
        device_ = parse_device(common_.device);
        // --exact asks for the tape's bits, which libraries do not have.
        const ProductModeScope products(
            products_on(device_, common_.precision, !attack_.exact && !evaluate_.exact));
        if (!common_.quiet) std::cout << banner(device_, may_be_cuda_) << std::endl;
        return action_();
    }

  private:
    void add_data() {
        CLI::App* data = app_.add_subcommand("data", "sets of images");
        data->require_subcommand(1);
        add_data_synth(data);
        add_data_audit(data);
    }

    void add_data_audit(CLI::App* data) {
        CLI::App* command = add(
            "audit", "find damaged images, duplicates, and test images that train has seen",
            [this] {
                data_audit_.quiet = common_.quiet;
                return data_audit(data_audit_);
            },
            data);
        command->footer(
            "Siblings are copies of one image: turned, mirrored, zoomed, brightened or compressed again.\n"
            "They are found by what stays about the middle; a copy cut from elsewhere is not.\n"
            "Exit status 1: test images are in train, themselves, by a sibling or by a group.");
        command->add_option("--data", data_audit_.data, "a folder of images, an .npz, IDX or CIFAR-10 file")
            ->type_name("DIR")
            ->required();
        command->add_option("--groups", data_audit_.groups, "a table: which images are of one origin")
            ->type_name("CSV");
        command->add_option("--split", data_audit_.split, "a split to audit in place of the set's own parts")
            ->type_name("FILE");
        command->add_option("--json", data_audit_.json, "write the findings to this file")->type_name("FILE");
        command
            ->add_option("--write-groups", data_audit_.write_groups,
                         "write a table of the groups found, for --groups and grouped splits")
            ->type_name("FILE");
        command->add_flag("--strict", data_audit_.strict, "a damaged image is an error: exit status 3");
    }
    void add_data_synth(CLI::App* data) {
        CLI::App* command = add(
            "synth", "write the built-in tissue, five classes of drawn pictures, as an image folder",
            [this] {
                data_synth_.quiet = common_.quiet;
                return data_synth(data_synth_);
            },
            data);
        command->footer(
            "The pictures depend on class, number, size and seed alone. For demonstrations and tests:\n"
            "what is learned from them holds for no patient.");
        command
            ->add_option("--out", data_synth_.out,
                         "the folder: empty, new, or written by this command before")
            ->type_name("DIR")
            ->required();
        command->add_option("--per-class", data_synth_.per_class, "images of each class")
            ->capture_default_str();
        command->add_option("--size", data_synth_.size, "pixels a side")->capture_default_str();
        command
            ->add_option("--layout", data_synth_.layout,
                         "folder, or mobileodt: three of the classes as the cervical screening set has its "
                         "photographs, broken files and wrong labels included")
            ->capture_default_str();
        command->add_option("--seed", data_synth_.seed, "other pictures of the same kind")
            ->capture_default_str();
    }

    void add_attack() {
        CLI::App* command =
            add("attack", "attack a model's answers to a set of images, and say what is left of its accuracy",
                [this] {
                    attack_.quiet = common_.quiet;
                    attack_.device = device_;
                    return attack(attack_);
                });
        command->footer(
            "Judged are the test images of split.json beside the model; else the set's own; else all. After "
            "the\n"
            "table come the rails, checks on the evaluation itself: docs/rails.md says what each means.");
        add_device(command);
        add_precision(command);
        add_judged(command, attack_.models, attack_.voting, attack_.data, attack_.batch, attack_.n,
                   attack_.seed, attack_.malignant, attack_.exact);
        command
            ->add_option(
                "--attack", attack_.attacks,
                "fgsm, bim, pgd, mi-fgsm, uniform-noise, gaussian-noise, shuffled-pgd, universal, ...")
            ->delimiter(',')
            ->capture_default_str();
        command->add_option("--eps", attack_.epsilons, "how far: 8/255 or 0.03, for images in [0,1]")
            ->delimiter(',')
            ->capture_default_str();
        command->add_option("--norm", attack_.norm, "linf or l2; each attack's own if not said");
        command->add_option("--steps", attack_.steps, "for attacks that have steps; their own if not said");
        command->add_option("--restarts", attack_.restarts, "for attacks that have a random start");
        command->add_option("--save", attack_.save, "keep the attacked images, as PNG files, in this folder")
            ->type_name("DIR");
        command->add_option("--json", attack_.json, "write the results to this file")->type_name("FILE");
    }

    void add_evaluate() {
        CLI::App* command = add(
            "evaluate", "all that can be said of a model on a set of images, clean and under attack", [this] {
                evaluate_.quiet = common_.quiet;
                evaluate_.device = device_;
                return evaluate_model(evaluate_);
            });
        command->footer(
            "quick: 100 images, FGSM, PGD with 10 steps and noise at 2/255 and 8/255.\n"
            "standard: all images, FGSM, PGD with 20 steps and 2 restarts, noise and a shuffled control at\n"
            "1/2, 1, 2, 4 and 8/255. Which images: as `microtome attack` says.");
        add_device(command);
        add_precision(command);
        add_judged(command, evaluate_.models, evaluate_.voting, evaluate_.data, evaluate_.batch, evaluate_.n,
                   evaluate_.seed, evaluate_.malignant, evaluate_.exact);
        command->add_option("--suite", evaluate_.suite, "quick or standard")->capture_default_str();
        command->add_option(
            "--gradient-audit", evaluate_.gradient_audit,
            "check the gradients that attacks follow on so many images, as gradcheck --model");
        command->add_option("--out", evaluate_.run, "folder for results.json and the images that were fooled")
            ->type_name("RUN")
            ->required();
    }

    // Which model, on which images.
    static void add_judged(CLI::App* command, std::vector<std::string>& models, std::string& voting,
                           std::string& data, int64_t& batch, int64_t& n, uint64_t& seed,
                           std::vector<std::string>& malignant, bool& exact) {
        command
            ->add_option(
                "--model", models,
                "a model file; several, each behind its own --model, answer together, and attacks go "
                "through all")
            ->type_name("FILE")
            ->required()
            ->expected(1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        command->add_option("--voting", voting,
                            "how several models answer: mean-probability (if not said), mean-logit or vote");
        command->add_option("--data", data, "a set of images")->type_name("DIR")->required();
        command->add_option("--batch", batch, "images at a time; no result depends on it")
            ->check(CLI::Range(1, 100000))
            ->capture_default_str();
        command->add_option("--n", n, "at most so many images, drawn at random; 0: all")
            ->check(CLI::NonNegativeNumber);
        command->add_option("--seed", seed, "of all random draws")->capture_default_str();
        command->add_option("--malignant", malignant, "names of malignant classes, * for any letters")
            ->delimiter(',')
            ->capture_default_str();
        command->add_flag("--exact", exact,
                          "the very bits of the tape, a third as fast: no batch norm folded into filters, no "
                          "Winograd convolution, no library on a GPU");
    }

    void add_train() {
        CLI::App* command = add("train", "train a classifier on labelled images", [this] {
            train_.quiet = common_.quiet;
            train_.device = device_;
            return train(train_);
        });
        command->footer(
            "The defaults suit small sets of medical images. The run's folder gets the settings, the split,\n"
            "the logs, a checkpoint and the model. A run that was interrupted or killed goes on, bit for "
            "bit,\n"
            "with `microtome train --out RUN --resume`.");
        add_device(command);
        command->add_option("--out", train_.out, "the run's folder")->type_name("DIR")->required();
        command->add_flag("--resume", train_.resume, "go on with the run in this folder");
        add_settings(command, train_settings(), train_.given);
        command->add_option("--json", train_.json, "write the result to this file")->type_name("FILE");
    }

    void add_harden() {
        CLI::App* command =
            add("harden", "train a model on, with attacked images, so that it withstands them", [this] {
                harden_.quiet = common_.quiet;
                harden_.device = device_;
                return harden(harden_);
            });
        command->footer(
            "The model goes on learning from its own training images (those of split.json beside it, else "
            "the\n"
            "set's own train part; never from test images), each beside an attacked version of it:\n"
            "    loss = clean-weight * CE(image) + adversarial-weight * CE(attacked image)\n"
            "finetune attacks the model as it is in each step and takes as many times longer as the attack "
            "has\n"
            "steps. finetune-static attacks once; a model that learned from one answer to another model may\n"
            "withstand those images and few others, which is why the table at the end has both.\n"
            "3/255 is an --eps to start with for medical images. `microtome attack` shows at which one your\n"
            "model fails; a larger one costs more accuracy on clean images. universal, patch and "
            "blended-patch\n"
            "are fitted on training images first. A run that was interrupted or killed goes on, bit for "
            "bit,\n"
            "with `microtome harden --out RUN --resume`.\n"
            "Exit status 1: a validity check on the table failed, and is printed below it.");
        add_device(command);
        command->add_option("--out", harden_.out, "the run's folder")->type_name("DIR")->required();
        command->add_flag("--resume", harden_.resume, "go on with the run in this folder");
        add_settings(command, harden_settings(), harden_.given);
        command->add_option("--json", harden_.json, "write the table's rows to this file")->type_name("FILE");
    }

    // Options that are kept as they were typed, with a run.
    static void add_settings(CLI::App* command, const std::vector<Setting>& settings,
                             std::map<std::string, std::string>& given) {
        for (const Setting& setting : settings)
            command
                ->add_option_function<std::string>(
                    "--" + setting.name,
                    [&given, name = setting.name](const std::string& value) { given[name] = value; },
                    setting.about)
                ->default_str(setting.standard);
    }

    void add_bench() {
        CLI::App* command = add("bench", "measure the kernels on this machine", [this] {
            bench_.step.device = device_;
            return bench(bench_);
        });
        add_device(command);
        add_precision(command);
        command->footer(
            "gemm: single-precision matrix products, their share of the processor's measured peak, and\n"
            "OpenBLAS in the same run where it is installed.\n"
            "conv: every convolution of the lung study's network and of ResNet50, forward, input gradient\n"
            "and weight gradient. vit: every matrix product of ViT-B/16, likewise.\n"
            "step: forward pass, input gradient (by the plans that attacks use, and on the tape), PGD with\n"
            "10 steps and training step of a network, the lung study's unless --arch says otherwise: images\n"
            "per second, share of peak, peak memory.\n"
            "data: images a second that the loader hands over from --data, decoded, and augmented.\n"
            "With --device cuda: gemm, conv and step on the GPU, as shares of what it does at best, which "
            "is\n"
            "measured first: operations on registers, and memory copied.");
        command->add_option("--suite", bench_.suite, "what to measure: gemm, conv, vit, step or data")
            ->check(CLI::IsMember({"gemm", "conv", "vit", "step", "data"}))
            ->capture_default_str();
        command
            ->add_option("--arch", bench_.step.architecture,
                         "step: the network, as `microtome train` calls it")
            ->capture_default_str();
        command->add_option("--batch", bench_.step.batch, "step: images at a time (32 for cnn, else 8)");
        command->add_option("--size", bench_.step.size,
                            "step, data: pixels a side (the network's own; as stored)");
        command->add_option("--data", bench_.data, "data: a set of images")->type_name("DIR");
        command
            ->add_option(
                "--steps", bench_.step.steps,
                "step: forward, input_gradient, exact_input_gradient, tape_input_gradient, attack, training "
                "(all)")
            ->delimiter(',');
        command->add_option("--json", bench_.json, "write the rows to this file");
    }

    void add_model() {
        CLI::App* model = app_.add_subcommand("model", "what a model is made of");
        model->require_subcommand(1);
        CLI::App* info = add(
            "info", "print a model's layers, parameters and multiply-adds",
            [this] { return model_info(model_info_); }, model);
        info->add_option("--arch", model_info_.architecture, "an architecture: cnn, resnet50, vit-b16, ...");
        info->add_option("--model", model_info_.model, "or a model file");
        info->add_option("--classes", model_info_.classes, "how many classes")->capture_default_str();
        info->add_option("--size", model_info_.size, "pixels a side; the architecture's own if not said");
        info->add_option("--json", model_info_.json, "write the table to this file");
        add_model_convert(model);
    }
    void add_model_convert(CLI::App* model) {
        CLI::App* convert = add(
            "convert", "make a model file of weights from elsewhere",
            [this] { return model_convert(model_convert_); }, model);
        convert->footer(
            "Read are safetensors files, PyTorch's state dicts (.pth; nothing in them is executed) and .npz, "
            "under\n"
            "torchvision's names, or timm's for ViT. Weights do not say what they were trained on; you "
            "must:\n"
            "    microtome model convert resnet50.pth --arch resnet50 --classes 1000 --range 0,1 \\\n"
            "        --normalize imagenet --resize --out resnet50.safetensors");
        convert->add_option("weights", model_convert_.from, "the file of weights")
            ->type_name("FILE")
            ->required();
        convert->add_option("--out", model_convert_.out, "the model file")->type_name("FILE")->required();
        convert->add_option("--arch", model_convert_.architecture,
                            "what the weights belong to: resnet50, ...");
        convert
            ->add_option("--classes", model_convert_.classes, "names in the order of the logits, or how many")
            ->delimiter(',');
        convert->add_option("--range", model_convert_.range,
                            "what black and white were in training: 0,1 or 0,255");
        convert->add_option("--normalize", model_convert_.normalize,
                            "what followed: imagenet, none, or MEAN,MEAN,MEAN/DEVIATION,DEVIATION,DEVIATION");
        convert->add_option("--size", model_convert_.size,
                            "pixels a side; the architecture's own if not said");
        convert->add_option("--channels", model_convert_.channels, "of the images")->capture_default_str();
        convert->add_flag("--resize", model_convert_.resize,
                          "the model takes images of other sizes, and resizes them");
        convert->add_option("--numbers", model_convert_.numbers, "of the architecture: dropout=0.2")
            ->delimiter(',');
    }

    // A subcommand that calls `action` when it is the one; with the options that all of them have.
    CLI::App* add(const std::string& name, const std::string& about, std::function<int()> action,
                  CLI::App* parent = nullptr) {
        CLI::App* command = (parent ? parent : &app_)->add_subcommand(name, about);
        command->add_option("--threads", common_.threads, "how many threads to use; no result depends on it")
            ->check(CLI::Range(1, 1024));
        command->add_flag("--quiet", common_.quiet, "print results only");
        command->callback([this, action] { action_ = action; });
        return command;
    }

    // For commands that calculate enough for a GPU.
    void add_device(CLI::App* command) {
        command->add_option("--device", common_.device, "where to calculate: cpu, cuda, or cuda:N of several")
            ->capture_default_str();
        command->parse_complete_callback([this] { may_be_cuda_ = true; });
    }
    // Commands that keep their settings with a run have it among them.
    void add_precision(CLI::App* command) {
        command->add_option("--precision", common_.precision, kPrecisionAbout)->capture_default_str();
    }

    void add_gradcheck() {
        CLI::App* command =
            add("gradcheck", "check every op's gradient against finite differences, and all else it promises",
                [this] {
                    gradcheck_.command = study_.command;
                    gradcheck_.quiet = gradcheck_model_.quiet = common_.quiet;
                    gradcheck_model_.json = gradcheck_.json;
                    gradcheck_.selection.device = gradcheck_model_.device = device_;
                    gradcheck_model_.seed = gradcheck_.selection.seed;
                    if (!gradcheck_model_.model.empty()) return check_model_gradients(gradcheck_model_);
                    return check_gradients(gradcheck_);
                });
        add_device(command);
        add_precision(command);
        gradcheck::Selection& selection = gradcheck_.selection;
        command->add_option("--op", gradcheck_.op, "this op only")->type_name("NAME");
        command->add_option("--oracle", selection.oracle, "this oracle only")->type_name("NAME");
        command->add_option("--sample", selection.sample, "this sample only")->type_name("NAME");
        command->add_option("--shape", selection.shapes, "inputs cut to these shapes, as in \"(4,5),(5)\"")
            ->type_name("SHAPES");
        command->add_option("--seed", selection.seed, "of random cotangents and directions")
            ->capture_default_str();
        command
            ->add_option("--plant", gradcheck_.plant,
                         "a mistake to give the op first, as --mutate names them")
            ->type_name("MISTAKE");
        command->add_flag("--mutate", gradcheck_.mutate,
                          "break every gradient in a dozen ways, and show which oracle notices which");
        command->add_flag("--coverage", gradcheck_.coverage, "show which op is looked at by which oracle");
        command->add_option("--json", gradcheck_.json, "write a row for each op and oracle")
            ->type_name("FILE");
        command->add_option("--junit", gradcheck_.junit, "write the same as JUnit XML")->type_name("FILE");
        command->add_option("--html", gradcheck_.html, "write the same as a page")->type_name("FILE");
        command->add_flag("--verbose", gradcheck_.verbose, "print every oracle or mutant");
        CLI::Option* model =
            command->add_option("--model", gradcheck_model_.model,
                                "check this model instead, at places that a PGD attack visits");
        CLI::Option* data = command->add_option("--data", gradcheck_model_.data, "images for the model");
        model->needs(data), data->needs(model);
        command->add_option("--images", gradcheck_model_.images, "how many of them")
            ->needs(model)
            ->capture_default_str();
        command->add_option("--steps", gradcheck_model_.steps, "steps of the attack")
            ->needs(model)
            ->capture_default_str();
    }

    void add_study() {
        CLI::App* command = add("study", "a whole study: train, attack, harden, judge, report", [this] {
            study_.quiet = common_.quiet;
            study_.device = device_;
            return study(study_);
        });
        command->footer(
            "A preset says what is asked and how; presets/ has some. The folder gets the models, each "
            "counted\n"
            "failure as a picture, results.json and report.html, one file to be opened in a browser. A "
            "study\n"
            "that was interrupted goes on when the same command is given again. Exit status 1 means that a\n"
            "validity check failed: the report says which, and what it says against the figures.\n"
            "To try a preset at less cost, change what it costs: images of each class (--set "
            "data.max_train=60\n"
            "data.max_test=20), pixels (model.size=96, models.0.size=96 or models.*.size=96 of [[models]]),\n"
            "epochs (training.epochs=3), parts of it (hardening=[]). Its words, titles too, stay as they "
            "are. The "
            "run's\npreset.toml and the report say what was changed.");
        add_device(command);
        add_precision(command);
        command->add_option("preset", study_.preset, "the study as a TOML file")
            ->type_name("PRESET")
            ->required();
        command->add_option("--data", study_.data, "the images; the built-in tissue if not said")
            ->type_name("DIR");
        command->add_option("--out", study_.out, "the folder for everything")->type_name("RUN")->required();
        command
            ->add_option(
                "--init", study_.init,
                "weights for the model to begin with, as for `microtome train`; their normalization is "
                "the preset's")
            ->type_name("FILE");
        command
            ->add_option("--set", study_.changes,
                         "a value in place of the preset's, as data.max_train=60; any number of times")
            ->type_name("KEY=VALUE");
    }

    CLI::App app_;
    CommonOptions common_;
    Device device_;             // as common_ says
    bool may_be_cuda_ = false;  // whether the command could have been told so
    StudyCommandOptions study_;
    AttackCommand attack_;
    EvaluateOptions evaluate_;
    DataAuditOptions data_audit_;
    DataSynthOptions data_synth_;
    BenchOptions bench_;
    ModelInfoOptions model_info_;
    ModelConvertOptions model_convert_;
    GradcheckOptions gradcheck_;
    GradcheckModelOptions gradcheck_model_;
    TrainOptions train_;
    HardenOptions harden_;
    std::function<int()> action_;
};

}  // namespace
}  // namespace microtome::apps

// OpenMP's threads spin while they wait, unless it is told otherwise before it starts. That gains 2 % in a
// training on an idle machine, and costs a start three times as long (they spin where images are decoded) and
// everybody else's time.
void wait_without_spinning(char** argv) {
    if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);  // returns only where it cannot, and then the threads spin
}

int main(int argc, char** argv) {
    using namespace microtome;
    using namespace microtome::apps;
    wait_without_spinning(argv);
    try {
        return CommandLine().run(argc, argv);
    } catch (const OptionsError& error) {
        return fail(kWrongUse, error.what());
    } catch (const MissingFileError& error) {
        return fail(kBadInput, error.what());
    } catch (const FormatError& error) {
        return fail(kBadInput, error.what());
    } catch (const ShapeError& error) {
        return fail(kBadInput, error.what());
    } catch (const DtypeError& error) {
        return fail(kBadInput, error.what());
    } catch (const std::bad_alloc&) {
        return fail(kMachineFailed, "out of memory");
    } catch (const std::exception& error) {
        return fail(kMachineFailed, error.what());
    }
}
