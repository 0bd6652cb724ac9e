"""Every help text in Chinese: the English of the commands → Chinese, and what argparse says of a wrong command line.

A test says which are missing. It is read where help is shown in Chinese, and not before.
"""

from __future__ import annotations

__all__ = ["HELP", "HELP_SENTENCES"]

HELP = {
    (
        "Does a model ported to a new accelerator train like it does on the reference GPU?\n"
        "\n"
        "  align verify ann_small                      train a case on the candidate, judge it against its baseline\n"
        "  align record ann_small --device cuda        make a baseline of a case on a trusted device\n"
        "  align ops ann_small                         the operations of a step: error, effective precision, fallback\n"
        "  align shrink REPORT/CASE/reproduce/1.py     the smallest call that is still wrong\n"
        "  align evaluate ann_small CHECKPOINT         the accuracy of a checkpoint on a validation set\n"
        "  align compare cuda.log sdaa.log             judge two logs that exist already\n"
        "  align baseline list                         what baselines there are, and what made them\n"
        "  align history --history builds.db           which build broke what\n"
        "  align gate                                  verify by a policy: what must pass, what is known\n"
        "  align doctor                                what devices, versions and settings are here\n"
        "  align clean                                 what align left on this machine, and how to remove it\n"
    ): (
        "移植到新加速卡上的模型，训练过程是否与参考 GPU 一致？\n"
        "\n"
        "  align verify ann_small                      在候选设备上训练一个用例，与其基线比较并判定\n"
        "  align record ann_small --device cuda        在可信的设备上为用例制作基线\n"
        "  align ops ann_small                         一步训练中的各算子：误差、有效精度、回退到主机\n"
        "  align shrink REPORT/CASE/reproduce/1.py     仍然出错的最小调用\n"
        "  align evaluate ann_small CHECKPOINT         一个检查点在验证集上的精度\n"
        "  align compare cuda.log sdaa.log             判定两份已有的日志\n"
        "  align baseline list                         有哪些基线，由什么制作\n"
        "  align history --history builds.db           哪个版本弄坏了什么\n"
        "  align gate                                  按策略验证：什么必须通过，什么是已知的\n"
        "  align doctor                                本机有哪些设备、版本和设置\n"
        "  align clean                                 align 在本机留下了什么，怎样删除\n"
    ),
    (
        "exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE. Only PASS opens a gate.\n"
        "A config is a Python program: `align` runs it as you. Give it only configs that you trust."
    ): (
        "退出码：0 PASS · 1 FAIL · 2 ERROR 或用法错误 · 3 INCONCLUSIVE。只有 PASS 放行。\n"
        "配置是一个 Python 程序：`align` 以你的身份运行它。只把可信的配置交给它。"
    ),
    "exit codes: 0 done · 2 ERROR or wrong usage": "退出码：0 完成 · 2 ERROR 或用法错误",
    "show this help message and exit": "显示这段帮助并退出",
    "show program's version number and exit": "显示版本号并退出",
    "Runs each CASE on the candidate device, judges it against its baseline, and writes the report.": "在候选设备上运行每个 CASE，与其基线比较并判定，写出报告。",
    "Without a CASE those of `align cases --small` are run; `align cases` lists all.": "不写 CASE 时运行 `align cases --small` 列出的用例；`align cases` 列出全部。",
    "exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE": "退出码：0 PASS · 1 FAIL · 2 ERROR 或用法错误 · 3 INCONCLUSIVE",
    "a case's name, or the path of a config": "用例的名称，或一份配置的路径",
    "cpu, cuda, sdaa, xla, npu, … or a card of it such as cuda:1; `align doctor` lists them. The default is the accelerator that is here; without one the emulated device, or the cpu where torch is older than 2.13": "cpu、cuda、sdaa、xla、npu 等，或其中一张卡，如 cuda:1；`align doctor` 列出它们。默认为本机的加速卡；没有则为仿真设备，torch 早于 2.13 时为 cpu",
    "numerics of the emulated device: fp32 (its default), tf32, …": "仿真设备的数值配置：fp32（默认）、tf32 等",
    "put a fault in, to see whether it is found; `align faults` lists them": "植入一个错误，看它能否被发现；`align faults` 列出它们",
    "lay values over the config, for example optim_wrapper.optimizer.lr=0.01": "覆盖配置中的值，例如 optim_wrapper.optimizer.lr=0.01",
    "how many iterations (default: as the case says)": "迭代次数（默认：按用例）",
    "automatic mixed precision": "自动混合精度",
    "keep the runs' files here (default: they are removed)": "把运行的文件保存在这里（默认：运行后删除）",
    "compile the model's forward with torch.compile, by inductor without a name; `none` compiles nothing. The default is what the config says. It is the same experiment; by backends other than inductor and aot_eager a shadowed iteration runs eager code": "用 torch.compile 编译模型的前向，不写名称时用 inductor；`none` 不编译。默认按配置。仍是同一个实验；用 inductor 和 aot_eager 以外的后端时，影子步运行未编译的代码",
    "the report's folder": "报告的文件夹",
    "where the baselines lie (default: $ALIGN_BASELINE_DIR, else ./baselines, then those that come along)": "基线所在之处（默认：$ALIGN_BASELINE_DIR，否则 ./baselines，再否则自带的基线）",
    "which of a case's baselines; the default is what the config names, else the only one that is there": "用例的哪一份基线；默认为配置指明的，否则为唯一的那份",
    "language of all that is shown: English or Chinese (default: $ALIGN_LANG, else as the locale says)": "所显示内容的语言：英文或中文（默认：$ALIGN_LANG，否则按区域设置）",
    "the precision tier to demand (default: as the case says)": "要求的精度档（默认：按用例）",
    "chance that any of the cases fails a healthy port, divided over them": "任一用例把健康移植判为失败的概率，分摊到各用例",
    "how many cases the whole gate has, where this command judges a part of it, as one job of a CI matrix: the false-alarm rate is divided over N (default: as many as the command judges)": "整个门禁有多少个用例；当本命令只判定其中一部分时使用，例如 CI 矩阵的一个任务：误报率除以 N（默认：本命令判定的用例数）",
    "run to the end, also where the verdict can't change any more": "一直运行到结尾，即使结论已不会再变",
    "where the verdict can't change any more, go on for N iterations, so that the curve is seen": "结论已不会再变时，再运行 N 次迭代，以便看到曲线",
    "a setting that may differ from the baseline's, with what is beneath it, by the name that the report has for it; every output says so; may be given several times": "允许与基线不同的一项设置及其下的各项，按报告中的名称；每份输出都会说明；可以给多次",
    "which iterations: numbers with commas between them, auto (the first two, one a third of the way and the last; the default) or none; a shadowed step costs about six plain ones on the CPU": "哪些迭代：以逗号分隔的数、auto（前两次、三分之一处的一次和最后一次；默认）或 none；在 CPU 上一个影子步约等于六个普通步",
    "these operations only, for example convolution mm (default: all)": "只检查这些算子，例如 convolution mm（默认：全部）",
    "host memory that one operation may take, for example 8GiB; one that needs more is checked on slices, of a step that needs a hundred times as much a sample of calls; what isn't checked is listed (default: 8GiB)": "一个算子可用的主机内存，例如 8GiB；需要更多的按切片检查，一步需要百倍于此时只抽查部分调用；没有检查的会列出（默认：8GiB）",
    "make each operation of the first shadowed step again with hard inputs (large, denormal, tied, infinite, NaN, strided, channels last, odd-sized, empty); where the device is off beyond what healthy kernels differ in is a FAIL": "对第一个影子步的每个算子再用刁难输入算一遍（很大、次正规、相等、无穷、NaN、跨步、通道在最内、奇数尺寸、空）；设备的偏差超出健康算子之间的差别即为 FAIL",
    "where calls came out wrong, ask the device for at most S seconds what it makes of calls like them, one thing changed at a time, so that what sets them apart can be named; 0 asks nothing (default: 60)": "调用出错时，至多用 S 秒向设备询问相似的调用，每次只改一处，从而说出它们的共同点；0 不询问（默认：60）",
    "where calls came out wrong, make them smaller for S seconds while they do; the programs that reproduce them are of those (60 seconds without a number)": "调用出错时，用 S 秒把它们缩小到仍然出错的最小形式；复现程序即由此而来（不写数时为 60 秒）",
    "judge by shadow ops alone, against the candidate's own host": "只凭影子算子判定，与候选自己的主机比较",
    "the database of results: a file's path, or postgresql://USER:PASSWORD@HOST/DATABASE (default: $ALIGN_HISTORY)": "结果数据库：文件路径，或 postgresql://USER:PASSWORD@HOST/DATABASE（默认：$ALIGN_HISTORY）",
    "what the build under test is called": "被测版本的名称",
    "print a table for a pull request": "打印用于 pull request 的表格",
    "how processes are started": "怎样启动各进程",
    "processes, with a launcher": "进程数，需要启动器",
    "machines that run processes, with a launcher: the same command on each, with its own --node-rank; the first records and judges": "运行进程的机器数，需要启动器：每台机器上用同样的命令，各自的 --node-rank；第一台负责记录和判定",
    "which of the machines this is, from 0": "本机是其中第几台，从 0 起",
    "where several machines meet: the first one's name and a free port of it": "多台机器的会合地址：第一台的名称和它的一个空闲端口",
    "how many cases run side by side, each on cards of its own where there are several; auto: as many a card as its memory holds by what each took before, else one, on the processor and the emulated device as many as cores and memory allow (default: 1)": "同时运行多少个用例，有几张卡时各用自己的卡；auto：每张卡按以前各占用的内存能放多少个（不知道则为一个），在处理器和仿真设备上按核数和内存允许的数目（默认：1）",
    "killed after S seconds without an iteration, or a checked operation of a shadowed one": "S 秒内没有完成一次迭代、影子步也没有检查完一个算子，即终止",
    "a run is killed after S seconds in all": "一次运行总共 S 秒后终止",
    "run each case on every card of this machine to its end, judge each run, and hold the cards to each other: one that is not like the others is named, and is a FAIL": "在本机的每张卡上把每个用例运行到结尾，判定每次运行，并把各卡相互比较：与其他卡不同的会指出，并判为 FAIL",
    "run each case N times with the same inputs, to its end, and say whether the bits are the same (default: 1)": "每个用例以同样的输入运行 N 次到结尾，并说明各位是否相同（默认：1）",
    "verify the cases on a Ray cluster: auto for the one that this machine is part of, or ray://HOST:10001; needs the extra [fleet]": "在 Ray 集群上验证各用例：auto 为本机所属的集群，或 ray://HOST:10001；需要扩展 [fleet]",
    "with --cluster: go on where the same command was interrupted; results that are whole are kept": "与 --cluster 一起用：从同一命令中断处继续；完整的结果会保留",
    "alignment.toml, or a pyproject.toml with [tool.alignment]; default: the one of this folder or of the nearest above it": "alignment.toml，或带 [tool.alignment] 的 pyproject.toml；默认：本文件夹或最近上级的那份",
    "take no policy's defaults": "不采用任何策略的默认值",
    "Runs each CASE several times with its rounding varied, checks the runs, shows what the case can see and what would change, and writes the baseline.": "以不同的舍入多次运行每个 CASE，检查各次运行，显示该用例能看出什么、会改变什么，并写出基线。",
    "a case's name, or the path of a config or of a file with a case": "用例的名称，或一份配置、一个含用例的文件的路径",
    "make the baseline of runs that are there already: folders that harness.watch left as repeats": "用已有的运行制作基线：harness.watch 作为重复留下的文件夹",
    "the trusted device: cpu (the default), cuda, …": "可信的设备：cpu（默认）、cuda 等",
    "healthy runs per tier (default: as the case says)": "每个精度档的健康运行次数（默认：按用例）",
    "precision tiers, tightest first: fp32,tf32 (default: as the case says)": "精度档，最紧的在前：fp32,tf32（默认：按用例）",
    "the baseline's name (default: the device's name)": "基线的名称（默认：设备的名称）",
    "why; asked for when a baseline is replaced": "原因；替换基线时必须给出",
    "where to write it (default: ./baselines)": "写到哪里（默认：./baselines）",
    "show what would change, and write nothing": "只显示会改变什么，不写任何内容",
    "how many runs run side by side, each on cards of its own where there are several; auto: as many a card as its memory holds by what each took before, else one, on the processor and the emulated device as many as cores and memory allow (default: 1)": "同时进行多少次运行，有几张卡时各用自己的卡；auto：每张卡按以前各占用的内存能放多少个（不知道则为一个），在处理器和仿真设备上按核数和内存允许的数目（默认：1）",
    "Judges each RUN, a folder that harness.watch left, against its case's baseline, and writes the report.": "把每个 RUN（harness.watch 留下的文件夹）与其用例的基线比较并判定，写出报告。",
    "The exit code is that of the worst verdict: 0 PASS, 1 FAIL, 2 ERROR, 3 INCONCLUSIVE.": "退出码为最差结论的：0 PASS、1 FAIL、2 ERROR、3 INCONCLUSIVE。",
    "the folder of a run": "一次运行的文件夹",
    "the baseline's own folder, BASELINES/CASE/REFERENCE; the default is the case's only one in ./baselines": "基线自己的文件夹，BASELINES/CASE/REFERENCE；默认为 ./baselines 中该用例唯一的那份",
    "Trains a config with mmengine's Runner on any device that the harness knows, for as long as the config says; logs, checkpoints and the loss trace go to the work folder.": "用 mmengine 的 Runner 在任何已知设备上训练一份配置，长度按配置；日志、检查点和损失轨迹写入工作文件夹。",
    "go on from a checkpoint, the latest of the work folder without a name; its trace goes on too": "从检查点继续，不写名称时用工作文件夹中最新的；它的轨迹也继续",
    "validate every N iterations and after the last one, on the validation split of the data set that is trained on, and keep the checkpoint of the best mIoU (default: as the config says)": "每 N 次迭代以及最后一次之后，在训练所用数据集的验证划分上验证，并保留 mIoU 最好的检查点（默认：按配置）",
    (
        "Asks a trained model for every image of a data set, and scores its answers as the Cityscapes benchmark does:\n"
        "of Cityscapes, ADE20K or Pascal Context, as their folders lie on disk, or of generated scenes.\n"
        "\n"
        "  align evaluate ann_small work_dirs/ann_small/iter_200.pth --device cpu\n"
        "  align evaluate ann_r50-d8_4xb2-40k_cityscapes-769x769 CHECKPOINT --mode slide --scales 0.75 1 1.25 --flip\n"
        "  align evaluate CONFIG CHECKPOINT --data-root /data/cityscapes --split test --export for-the-server\n"
        "  align evaluate CONFIG CHECKPOINT --device cuda --as-reference --work-dir reference\n"
        "  align evaluate CONFIG CHECKPOINT --device sdaa --against reference --out report\n"
    ): (
        "让训练好的模型回答数据集的每幅图像，并按 Cityscapes 基准的方式评分：\n"
        "磁盘上按原样放置的 Cityscapes、ADE20K 或 Pascal Context，或生成的场景。\n"
        "\n"
        "  align evaluate ann_small work_dirs/ann_small/iter_200.pth --device cpu\n"
        "  align evaluate ann_r50-d8_4xb2-40k_cityscapes-769x769 CHECKPOINT --mode slide --scales 0.75 1 1.25 --flip\n"
        "  align evaluate CONFIG CHECKPOINT --data-root /data/cityscapes --split test --export for-the-server\n"
        "  align evaluate CONFIG CHECKPOINT --device cuda --as-reference --work-dir reference\n"
        "  align evaluate CONFIG CHECKPOINT --device sdaa --against reference --out report\n"
    ),
    (
        "An image, a window, a scale and a mirrored view each are a pass of one image: no answer and no score depends on a batch\n"
        "size or on the number of processes. What is done is on disk image by image; the same command goes on where it was.\n"
        "exit codes: 0 done · 2 ERROR or wrong usage; with --against 0 PASS · 1 FAIL · 2 ERROR · 3 INCONCLUSIVE"
    ): (
        "一幅图像、一个窗口、一个尺度、一个镜像各是对单幅图像的一次计算：回答和得分都不取决于批大小和进程数。\n"
        "完成的内容逐图写在磁盘上；同样的命令会从中断处继续。\n"
        "退出码：0 完成 · 2 ERROR 或用法错误；带 --against 时 0 PASS · 1 FAIL · 2 ERROR · 3 INCONCLUSIVE"
    ),
    "the whole model's weights": "整个模型的权重",
    "lay values over the config": "覆盖配置中的值",
    "which part of the data set": "数据集的哪个划分",
    "where the data set lies (default: as the config says)": "数据集所在之处（默认：按配置）",
    "the first N images alone (default: all)": "只用前 N 幅图像（默认：全部）",
    "in one piece, or in windows; by default as the config's model.test_cfg says, whole without one": "整幅，或按窗口；默认按配置的 model.test_cfg，没有则为整幅",
    "of a window (default: as the config says)": "窗口的尺寸（默认：按配置）",
    "from window to window (default: as the config says)": "窗口之间的步距（默认：按配置）",
    "fit images into this size first (default: the pipeline's)": "先把图像缩放到此尺寸之内（默认：按流水线）",
    "factors of the size, each a pass (default: 1)": "尺寸的系数，每个计算一次（默认：1）",
    "ask for the mirrored image too": "也计算镜像图像",
    "several scales and views become one by the mean of softmax, as mmsegmentation does (the default), or by the sum of logits, as the original ANN does": "多个尺度和视图合为一个：取 softmax 的平均，如 mmsegmentation（默认），或取 logits 之和，如 ANN 原作",
    "under autocast": "在 autocast 下",
    "processes that share the images": "分担图像的进程数",
    "how many passes of a reference run side by side, each on cards of its own where there are several; auto: one a card, on the processor and the emulated device as many as cores and memory allow (default: 1)": "同时进行参考的多少次计算，有几张卡时各用自己的卡；auto：每张卡一个，在处理器和仿真设备上按核数和内存允许的数目（默认：1）",
    "by default work_dirs/<case>/evaluation-<device>": "默认为 work_dirs/<case>/evaluation-<device>",
    "make a reference for other devices: also how sure each answer is, and --repeats passes at other rounding": "为其他设备制作参考：也记录每个回答有多大把握，并以不同舍入计算 --repeats 次",
    "of a reference": "参考的重复次数",
    "precision tier of the repeats, by default the case's own": "重复所用的精度档，默认为用例自己的",
    "judge the answers against this reference: the same weights, images": "以此参考判定回答：同样的权重和图像",
    "of that verdict": "该结论的误报率",
    "images of one city are independent, as generated scenes are: each is a cluster of its own for intervals": "同一城市的图像相互独立，如生成的场景：计算区间时每幅自成一组",
    "write that verdict's report into this folder": "把该结论的报告写入此文件夹",
    "write label-id PNGs there, checked, and DIR.zip": "在那里写出经过检查的标签编号 PNG，以及 DIR.zip",
    "ended after S seconds without an image": "S 秒没有一幅图像即结束",
    (
        "Says what trained reference runs and trained candidate runs say of a port: the difference of their accuracies with an\n"
        "interval, the smallest difference that these runs could have seen, and whether a margin that you state holds.\n"
        "\n"
        "  align accuracy --reference 77.31 77.91 76.89 --candidate 76.50 77.02 --margin 0.5\n"
        "  align accuracy --reference ref-*/scores.json --candidate cand-*/scores.json --margin 99% --out report\n"
        "  align accuracy --reference 77.4 --candidate 77.0\n"
    ): (
        "说明训练完成的参考运行和候选运行对移植说明了什么：两者精度之差及其区间、这些运行能看出的最小差别，\n"
        "以及你给出的界限是否成立。\n"
        "\n"
        "  align accuracy --reference 77.31 77.91 76.89 --candidate 76.50 77.02 --margin 0.5\n"
        "  align accuracy --reference ref-*/scores.json --candidate cand-*/scores.json --margin 99% --out report\n"
        "  align accuracy --reference 77.4 --candidate 77.0\n"
    ),
    (
        "--margin: points of the metric, or a published rule: 0.1% (Tecorigin, relative), 0.15% (PaddlePaddle, points), 99% and\n"
        "99.9% (MLPerf, of the reference, one-sided). Without one equality can't be shown, and the verdict is never PASS.\n"
        "One run a side decides nothing: the verdict is INCONCLUSIVE, and says by how much two healthy runs differ.\n"
        "exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE"
    ): (
        "--margin：指标的点数，或一条已发布的规则：0.1%（Tecorigin，相对）、0.15%（PaddlePaddle，点数）、99% 和\n"
        "99.9%（MLPerf，参考的比例，单侧）。没有界限就不能证明相等，结论绝不会是 PASS。\n"
        "每边一次运行什么也判定不了：结论为 INCONCLUSIVE，并说明两次健康运行会相差多少。\n"
        "退出码：0 PASS · 1 FAIL · 2 ERROR 或用法错误 · 3 INCONCLUSIVE"
    ),
    "accuracies in percent, or scores.json of `align evaluate`, or their folders": "百分数形式的精度，或 `align evaluate` 的 scores.json，或它们的文件夹",
    "how far the candidate may be off: points, or a published rule's name": "候选可以相差多少：点数，或一条已发布规则的名称",
    "a better candidate is always within the margin": "候选更好时总算在界限之内",
    "which number of scores.json: mIoU (the default), aAcc, mAcc": "scores.json 中的哪个数：mIoU（默认）、aAcc、mAcc",
    "chance of a wrong PASS or FAIL at the margin": "恰在界限处误判为 PASS 或 FAIL 的概率",
    "standard deviation of a run in points, for what one run a side says": "一次运行的标准差（点数），用于说明每边一次运行能说明什么",
    "what the report calls it": "报告中的名称",
    "write the report into this folder": "把报告写入此文件夹",
    "Says how many runs a side it takes to see a difference, and to show that there is none beyond a margin, and what fewer runs see. Exact, by Student's t.": "说明每边要多少次运行才能看出一个差别、才能证明没有超出界限的差别，以及更少的运行能看出什么。精确计算，按 Student t。",
    "of the metric, for example 0.5": "指标的差别，例如 0.5",
    "standard deviation of a run (default: 0.64, of three published triples of Cityscapes runs)": "一次运行的标准差（默认：0.64，来自三组已发表的 Cityscapes 三次运行）",
    "chance of a false alarm": "误报的概率",
    "chance to see it": "看出它的概率",
    "Runs one step of CASE, or of a MODEL that is no case, on the candidate device, computes each operation again in float64 on the host, and lists them: how often called, how far off, how precise, and which the device left to its host.": "在候选设备上运行 CASE（或不是用例的 MODEL）的一步，在主机上以 float64 把每个算子再算一遍，并列出它们：调用多少次、偏差多大、精度多高，以及哪些由设备留给了主机。",
    "The exit code is that of the verdict of shadow ops, and with --forced of hard inputs, alone: 0 PASS, 1 FAIL, 2 ERROR, 3 INCONCLUSIVE.": "退出码为影子算子（带 --forced 时还有刁难输入）的结论：0 PASS、1 FAIL、2 ERROR、3 INCONCLUSIVE。",
    "timm:NAME, torchvision:NAME, transformers:CLASS (of a config, or of a model), or MODULE:FUNCTION, a function that returns (model, inputs) or (model, inputs, loss)": "timm:NAME、torchvision:NAME、transformers:CLASS（配置或模型的类），或 MODULE:FUNCTION，即返回 (model, inputs) 或 (model, inputs, loss) 的函数",
    "given to the library's constructor, or to the function": "传给库的构造函数，或该函数",
    "samples in a batch": "一个批次的样本数",
    "height and width of images, or tokens": "图像的高和宽，或 token 数",
    "of weights and inputs (default: 0)": "权重和输入的种子（默认：0）",
    "a class of torch.optim": "torch.optim 的一个类",
    "arguments of the optimizer, for example lr=0.01 fused=True (default: lr=0.001)": "优化器的参数，例如 lr=0.01 fused=True（默认：lr=0.001）",
    "train in mixed precision": "以混合精度训练",
    "the precision tier to judge at (default: as the case says)": "判定所用的精度档（默认：按用例）",
    "write every distinct tensor here: .csv, or .json with the coverage": "把每个不同的张量写到这里：.csv，或带覆盖率的 .json",
    "Reads the reproduction of a call that came out wrong, makes its sizes, values, options and layouts smaller and plainer on the device while it still does, and writes the program that reproduces that.": "读取一个出错调用的复现程序，在设备上把它的尺寸、值、选项和布局缩小、简化到仍然出错的最小形式，并写出复现它的程序。",
    "The exit code is 0 where the smaller program is written, 3 where the call is right when it is called alone, 2 for an error. `align verify --shrink` does the same after a run.": "退出码：写出更小的程序为 0，单独调用时正确为 3，出错为 2。`align verify --shrink` 在运行之后做同样的事。",
    "a reproduction: reproduce/1.py of a case in a report": "复现程序：报告中一个用例的 reproduce/1.py",
    "where to call it (default: where it came out wrong)": "在哪里调用（默认：它出错的设备）",
    "that it may take (default: 60)": "可用的秒数（默认：60）",
    "the smaller program (default: beside FINDING, as N.small.py)": "更小的程序（默认：在 FINDING 旁边，名为 N.small.py）",
    (
        "Judges the training log CAND against the training log REF. Nothing is run.\n"
        "\n"
        "  align compare cuda.log sdaa.log                       two logs, of any formats\n"
        "  align compare loss.txt                                a block file: === CUDA ===, numbers, === SDAA ===, numbers\n"
        '  align compare export.csv --metric "a - loss" "b - loss"                two columns of one table\n'
        "  align compare ref.log cand.log --repeat r1.log r2.log r3.log r4.log    healthy runs of the reference\n"
        "  align compare cuda.log sdaa.log --out report          a page, result.json and JUnit XML\n"
        "  align compare --pairs ports/ --out report             every pair of a folder, and an index\n"
    ): (
        "以训练日志 REF 判定训练日志 CAND。不运行任何东西。\n"
        "\n"
        "  align compare cuda.log sdaa.log                       两份日志，任何格式\n"
        "  align compare loss.txt                                分块文件：=== CUDA ===、数、=== SDAA ===、数\n"
        '  align compare export.csv --metric "a - loss" "b - loss"                一张表的两列\n'
        "  align compare ref.log cand.log --repeat r1.log r2.log r3.log r4.log    参考的健康运行\n"
        "  align compare cuda.log sdaa.log --out report          一页报告、result.json 和 JUnit XML\n"
        "  align compare --pairs ports/ --out report             文件夹中的每一对，以及索引\n"
    ),
    (
        "The first line names what a person would see in the two curves; what was read of each file, the evidence and what to do\n"
        "next follow, and the field's own rule.\n"
        "\n"
        "what --legacy looks at: all common iterations, the last 50 (last50), the first 100 (first100), all but the first (skip1)\n"
        "how --pairs finds sides: a name's part cuda, gpu, ref, reference or benchmark, and sdaa, npu, mlu, musa, rocm, hpu, xpu,\n"
        "  tpu, xla, …, cand or candidate: ann.cuda.log beside ann.npu.log, cuda.log beside sdaa.log, annCuda.log beside\n"
        "  annSdaa.log; block files; or a CSV list with the columns reference, candidate, and if wanted name, legacy, metric,\n"
        "  rank\n"
        "exit codes: 0 PASS · 1 FAIL · 2 ERROR or wrong usage · 3 INCONCLUSIVE\n"
        "formats: docs/compare.md has them all; what isn't known is read by its names and numbers, and said to be guessed"
    ): (
        "第一行说出人在两条曲线上会看到什么；然后是从每个文件读到了什么、证据和下一步，以及业内旧规则。\n"
        "\n"
        "--legacy 看什么：全部共同迭代（all）、最后 50 次（last50）、前 100 次（first100）、除第一次之外（skip1）\n"
        "--pairs 怎样找到两边：名称中的 cuda、gpu、ref、reference 或 benchmark，与 sdaa、npu、mlu、musa、rocm、hpu、xpu、\n"
        "  tpu、xla 等、cand 或 candidate：ann.cuda.log 与 ann.npu.log，cuda.log 与 sdaa.log，annCuda.log 与\n"
        "  annSdaa.log；分块文件；或一份 CSV 列表，列名为 reference、candidate，可选 name、legacy、metric、rank\n"
        "退出码：0 PASS · 1 FAIL · 2 ERROR 或用法错误 · 3 INCONCLUSIVE\n"
        "格式：docs/compare.md 列出全部；不认识的按其中的名称和数字读取，并说明是推测"
    ),
    "the trusted side's log": "可信一方的日志",
    "the ported side's log; a block file holds both": "移植一方的日志；分块文件含有两者",
    "more logs of the reference": "参考的更多日志",
    "which scalar of the logs, by default the loss; two names: the reference's and the candidate's": "日志中的哪个标量，默认为损失；给两个名称时分别为参考的和候选的",
    "whose values (default: rank 0)": "取哪个进程的值（默认：进程 0）",
    "what the field's own rule looks at": "业内旧规则看什么",
    "print its last line as under numpy ≥ 2: np.float64(x)": "按 numpy ≥ 2 的写法打印其最后一行：np.float64(x)",
    "judge many pairs, and write their index": "判定许多对，并写出索引",
    "iterations of an epoch, for logs that count from each epoch's start and don't say how many there are": "一个 epoch 的迭代次数，用于每个 epoch 重新计数而没有说明总数的日志",
    "the largest log that is read, unpacked; by default 64GiB": "读取的最大日志（解开后）；默认 64GiB",
    "the most records that are read of a log, at 32 bytes of memory each; by default 50 million": "一份日志读取的最多记录数，每条占 32 字节内存；默认 5000 万",
    "print a block for a pull request": "打印用于 pull request 的一段",
    "print the result as JSON": "以 JSON 打印结果",
    "Reads result.json files, or folders that hold them, checks that each follows from what it holds, and writes one index of them all, or one file that can be mailed. A case that a command was to judge and didn't is an ERROR.": "读取 result.json 文件或含有它们的文件夹，检查每个结果与其内容是否一致，并写出一份总索引，或一个可以用邮件发送的文件。命令本应判定而没有判定的用例为 ERROR。",
    "a result.json, or a folder": "一个 result.json，或一个文件夹",
    "the index's folder (default: alignment-report; none with --bundle)": "索引的文件夹（默认：alignment-report；有 --bundle 时不写）",
    "write one file that can be mailed: FILE.zip holds the index, the pages and what lies beside them, FILE.html the index and the pages (default: none)": "写一个可以用邮件发送的文件：FILE.zip 含索引、各页及其旁边的文件，FILE.html 含索引和各页（默认：不写）",
    (
        "Verifies the cases that a policy demands of a device, and says whether the gate opens.\n"
        "\n"
        "  align gate                     by alignment.toml, or [tool.alignment] of pyproject.toml\n"
        "  align gate --check             check the policy, and run nothing\n"
        "  align gate ann_small           this case of it alone\n"
        "\n"
        "Options of the command line come before the policy's defaults, a case's own before both. docs/policy.md has every key.\n"
    ): (
        "验证策略对一台设备要求的用例，并说明门禁是否放行。\n"
        "\n"
        "  align gate                     按 alignment.toml，或 pyproject.toml 的 [tool.alignment]\n"
        "  align gate --check             检查策略，不运行任何东西\n"
        "  align gate ann_small           只验证其中这个用例\n"
        "\n"
        "命令行的选项优先于策略的默认值，用例自己的选项优先于两者。docs/policy.md 列出每个键。\n"
    ),
    "The exit code is 0 where each case passes, is excused by a known deviation, or isn't required; else that of the worst: 1 FAIL, 2 ERROR or wrong usage, 3 INCONCLUSIVE.": "每个用例都通过、因已知偏差而放过或不作要求时退出码为 0；否则为最差的：1 FAIL、2 ERROR 或用法错误、3 INCONCLUSIVE。",
    "of the policy's cases these alone": "只验证策略中的这些用例",
    "check the policy, and run nothing": "检查策略，不运行任何东西",
    (
        "Says what the builds of a device broke, since when, and what changed.\n"
        "\n"
        "  align verify --history builds.db                     keep each result of a verification\n"
        "  align history add alignment-report --history builds.db   keep results that were made before\n"
        "  align history --history builds.db                    what they say: a summary, and a page in alignment-history/\n"
        "  align history --history builds.db --json             the same as JSON\n"
    ): (
        "说明一台设备的各版本弄坏了什么、从何时起、有何变化。\n"
        "\n"
        "  align verify --history builds.db                     保存一次验证的每个结果\n"
        "  align history add alignment-report --history builds.db   保存以前的结果\n"
        "  align history --history builds.db                    它们说明什么：摘要，以及 alignment-history/ 中的一页\n"
        "  align history --history builds.db --json             同样的内容，JSON 形式\n"
    ),
    "Needs the extra [history]: pip install 'alignment-harness[history]'. docs/history.md describes the tables. Exit code 0 whatever the history says: it is no gate.": "需要扩展 [history]：pip install 'alignment-harness[history]'。docs/history.md 说明各表。无论历史如何退出码都是 0：它不是门禁。",
    "show, without a word": "不写动作时为 show",
    "to add: a result.json, or a folder": "要加入的：一个 result.json，或一个文件夹",
    "the page's folder; %(default)s": "页面的文件夹；%(default)s",
    "print it as JSON, and write no page": "以 JSON 打印，不写页面",
    "builds that the page's table shows; %(default)s": "页面表格显示的版本数；%(default)s",
    "latest builds that are looked at for drift and sight; %(default)s": "查看漂移和灵敏度所用的最近版本数；%(default)s",
    (
        "Baselines are healthy runs of a case on a trusted device, which candidates are judged by.\n"
        "\n"
        "  align baseline list                                  what there is, where it lies, and which is used for what\n"
        "  align baseline show ann_small                        what made it, and the smallest deviations that it can see\n"
        "  align baseline diff ann_small/cpu ann_small/cuda     the signed change from one to the other\n"
        "  align baseline export ann_small/cuda --out ann.zip   on the machine with the GPU: one file to carry\n"
        "  align baseline adopt ann.zip                         on the machine with the accelerator: checked, then placed\n"
    ): (
        "基线是用例在可信设备上的健康运行，候选据此判定。\n"
        "\n"
        "  align baseline list                                  有哪些、在哪里、各用于什么\n"
        "  align baseline show ann_small                        由什么制作，能看出的最小偏差\n"
        "  align baseline diff ann_small/cpu ann_small/cuda     从一份到另一份的有符号变化\n"
        "  align baseline export ann_small/cuda --out ann.zip   在有 GPU 的机器上：打成一个可携带的文件\n"
        "  align baseline adopt ann.zip                         在有加速卡的机器上：检查后放好\n"
    ),
    "Baselines are read from --baseline-dir or $ALIGN_BASELINE_DIR, else from ./baselines and then from those that come with align; the first that holds what is asked for is taken.": "基线从 --baseline-dir 或 $ALIGN_BASELINE_DIR 读取，否则从 ./baselines，再否则从 align 自带的；取第一处有所要内容的。",
    "Lists baselines; exit code 2 if any is damaged.": "列出基线；有损坏的则退出码为 2。",
    "of these cases alone; a name or a config's path": "只列这些用例；名称或配置的路径",
    "print it as JSON": "以 JSON 打印",
    "Shows a baseline.": "显示一份基线。",
    "CASE, CASE/REFERENCE, a baseline's folder, or an exported archive": "CASE、CASE/REFERENCE、基线的文件夹，或导出的归档",
    "Shows how loss and gradient norm change from OLD to NEW, beside how far healthy runs of OLD differ, and what else differs.": "显示损失和梯度范数从 OLD 到 NEW 怎样变化，与 OLD 的健康运行相差多少对照，以及还有什么不同。",
    "Writes baselines into one zip file.": "把基线写成一个 zip 文件。",
    "CASE or CASE/REFERENCE": "CASE 或 CASE/REFERENCE",
    "the archive": "归档文件",
    "Checks what arrived: checksums, schema, that it is whole, and that its config has the settings that this machine's has. Then places it into ./baselines, or where --baseline-dir says.": "检查收到的内容：校验和、模式版本、是否完整，以及其配置的设置与本机是否相同。然后放入 ./baselines，或 --baseline-dir 指定之处。",
    "an exported archive, or a copied folder": "导出的归档，或复制来的文件夹",
    "the config of a case of your own, to compare with": "用来比较的你自己用例的配置",
    "that it was recorded with": "录制时所用的",
    "check it, and write nothing": "只检查，不写任何内容",
    "what there is": "有哪些基线",
    "what made one, and what it can see": "由什么制作，能看出什么",
    "the signed change from one to another": "从一份到另一份的有符号变化",
    "write baselines into one file to carry": "把基线写成一个可携带的文件",
    "check a baseline that was recorded elsewhere, and place it": "检查在别处录制的基线，并放好",
    "Lists the cases and their baselines.": "列出用例及其基线。",
    "only the names, one per line": "只列名称，每行一个",
    "only those that commands without a case run": "只列不写用例的命令会运行的",
    "Looks at this machine.": "查看本机。",
    "Shows what align left on this machine and how much it is: generated scenes, which are drawn again where they are needed, and temporary folders of commands that were killed. Reports, baselines and what --work-dir keeps are yours, and stay. With --yes it is removed; not while a case trains on generated scenes.": "显示 align 在本机留下了什么、有多大：生成的场景（需要时会重新生成），以及被终止的命令的临时文件夹。报告、基线和 --work-dir 保存的内容是你的，会留下。带 --yes 则删除；有用例正用生成的场景训练时不删。",
    "remove it; without this nothing is removed": "删除；不写它则什么也不删",
    "Writes a JSON schema (draft 2020-12) of each kind of file that align writes and reads.": "为 align 读写的每种文件写出 JSON schema（draft 2020-12）。",
    "the folder; default: %(default)s": "文件夹；默认：%(default)s",
    "Measures multiply–accumulates, peak memory and time of each model's attention block beside a non-local block, on the papers' feature maps, in one run: forward and backward as in training and, of ANN's, also the forward pass alone as its authors measure it. A paper's claim stands beside the measurement that it was made of.": "在论文的特征图上，把每个模型的注意力块与 non-local 块放在一次运行中，测量乘加次数、峰值内存和时间：如训练那样前向加反向；对 ANN 还单独测量前向，如其作者所做。论文的说法与对应的测量并列。",
    "The largest map is 256×128: there one pass of a non-local block takes a minute on two cores.": "最大的图为 256×128：在那里 non-local 块计算一次在两个核上要一分钟。",
    "ann, ccnet, emanet, ocrnet (default: all)": "ann、ccnet、emanet、ocrnet（默认：全部）",
    "cpu (the default), cuda, or another that `align doctor` lists": "cpu（默认）、cuda，或 `align doctor` 列出的其他设备",
    "write the rows here": "把各行写到这里",
    "draw the ratios here: .svg, .png or .pdf": "把比值画到这里：.svg、.png 或 .pdf",
    "Lists the faults for --fault.": "列出可用于 --fault 的错误。",
    "Runs the fault catalogue and healthy ports of each CASE on the emulated device, judges every run, and writes detection and false-alarm rates. A run that lies in the work folder is not run again: a study that was killed goes on where it was, and parts of a study that share the folder add up.": "在仿真设备上运行每个 CASE 的错误目录和健康移植，判定每次运行，并写出检出率和误报率。工作文件夹中已有的运行不再重做：中断的研究会继续，共用文件夹的各部分研究会合并。",
    "Without a CASE all small ones are studied: hours. `align power ann_small --faults bn-eps-1e-3 --healthy 2` takes minutes.": "不写 CASE 时研究全部小用例：要几小时。`align power ann_small --faults bn-eps-1e-3 --healthy 2` 只要几分钟。",
    "all, none, blind, known, or names; see `align faults`": "all、none、blind、known 或名称；见 `align faults`",
    "only N faulty runs, drawn at random over cases, layers, known and blind faults alike; a larger N later adds to them": "只做 N 次植错运行，从用例、层、已知和看不出的错误中随机抽取；以后给更大的 N 会在其上增加",
    "seed of that draw (0)": "该抽取的种子（0）",
    "healthy ports per case": "每个用例的健康移植次数",
    "iterations of each run (default: as the case says)": "每次运行的迭代次数（默认：按用例）",
    "numerics under the faults (default: the demanded tier's)": "植错时的数值配置（默认：所要求精度档的）",
    "the largest ensemble to try": "尝试的最大重复次数",
    "shadow these iterations too, for example 0,1": "这些迭代也用影子算子，例如 0,1",
    "with --shadow: each operation with hard inputs too": "与 --shadow 一起用：每个算子也用刁难输入",
    "run faulty runs to their end too": "植错的运行也做到结尾",
    "how many iterations a run goes on after it is seen": "看出之后再运行多少次迭代",
    "worker processes (default: auto, one per core)": "工作进程数（默认：auto，每核一个）",
    "judge the runs that are there, and make none": "只判定已有的运行，不做新的",
    "false-alarm rate of the gate": "门禁的误报率",
    "the folder of the runs": "各次运行的文件夹",
    "run cases on the candidate and judge them against their baselines": "在候选设备上运行用例，与基线比较并判定",
    "make a baseline of a case on a trusted device": "在可信的设备上为用例制作基线",
    "judge a run that your own loop recorded": "判定你自己的训练循环记录的一次运行",
    "train a config as the field's scripts do, recorded": "像业内脚本那样训练一份配置，并记录",
    "the accuracy of a checkpoint on a validation set": "一个检查点在验证集上的精度",
    "judge the accuracies of trained runs": "判定训练完成的各次运行的精度",
    "how many trained runs a wish costs": "一个愿望要多少次训练",
    "list the operations of a training step: error, effective precision, fallback, coverage": "列出一步训练的算子：误差、有效精度、回退到主机、覆盖率",
    "make a call that came out wrong smaller, while it does": "把出错的调用缩小到仍然出错的最小形式",
    "judge two logs that exist already": "判定两份已有的日志",
    "merge results into one index": "把结果合为一份索引",
    "verify by a policy: what must pass, what is known": "按策略验证：什么必须通过，什么是已知的",
    "which build broke what, drift, flaky cases": "哪个版本弄坏了什么、漂移、时好时坏的用例",
    "what baselines there are; carry one to another machine": "有哪些基线；把基线带到另一台机器",
    "list the cases": "列出用例",
    "what devices, versions and settings are here": "本机有哪些设备、版本和设置",
    "show, and with --yes remove, caches and abandoned temporary folders": "显示缓存和遗留的临时文件夹，带 --yes 则删除",
    "write the JSON schemas of results, baselines and runs": "写出结果、基线和运行的 JSON schema",
    "measure attention blocks beside non-local ones": "测量注意力块与 non-local 块",
    "list the faults": "列出可植入的错误",
    "measure what the gate sees, with faults and healthy ports": "用错误和健康移植测量门禁能看出什么",
    "run what is missing on a Ray cluster: auto for the one that this machine is part of, or ray://HOST:10001; needs the extra [fleet]": "在 Ray 集群上做缺少的部分：auto 为本机所属的集群，或 ray://HOST:10001；需要扩展 [fleet]",
    # argparse
    "usage: ": "用法：",
    "positional arguments": "位置参数",
    "options": "选项",
    "optional arguments": "选项",
    " (default: none)": "（默认：无）",
    " (default: %(default)s)": "（默认：%(default)s）",
    " (default: the policy's)": "（默认：按策略）",
    "error": "错误",
    "expected one argument": "需要一个参数",
    "expected at most one argument": "至多一个参数",
    "expected at least one argument": "至少需要一个参数",
}

HELP_SENTENCES = {
    "argument {where}: {rest}": "参数 {where}：{rest}",
    "unrecognized arguments: {path}; did you mean {guess}?": "无法识别的参数：{path}；是不是 {guess}？",
    "unrecognized arguments: {path}": "无法识别的参数：{path}",
    "the following arguments are required: {path}": "缺少必需的参数：{path}",
    "invalid choice: {path}; did you mean {guess}? (choose from {text})": "无效的选择：{path}；是不是 {guess}？（可选：{text}）",
    "invalid choice: {path} (choose from {text})": "无效的选择：{path}（可选：{text}）",
    "invalid {kind} value: {path}": "无效的 {kind} 值：{path}",
    "expected {count} arguments": "需要 {count} 个参数",
    "not allowed with argument {path}": "不能与参数 {path} 一起用",
    "ambiguous option: {path} could match {text}": "选项有歧义：{path} 可能是 {text}",
    "ignored explicit argument {path}": "多余的参数 {path}",
    "no case is called {path}; did you mean {guess}?": "没有名为 {path} 的用例；是不是 {guess}？",
}
