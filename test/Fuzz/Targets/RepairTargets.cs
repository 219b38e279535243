using Godwit.Fuzz.Engine;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhd;
using Godwit.Storage.Formats.Vhdx;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>Repairs of a damaged VHD, wherever the damage is.</summary>
internal sealed class VhdRepairTarget : VhdTarget
{
    private readonly RepairExercise _exercise;

    public VhdRepairTarget() =>
        _exercise = new RepairExercise(ImageFormat.VhdDynamic, static file => VhdCheck.RunAsync(file, CancellationToken.None), base.ExerciseAsync);

    public override string Name => "repair-vhd";

    public override string What => "VHD: repairs of all its structures";

    protected override ValueTask ExerciseAsync(MemoryFile file, Signals signals) => _exercise.RunAsync(file, signals);

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() =>
    [
        Sparse("dynamic", await VhdImages.DynamicAsync()),
        Sparse("child", await VhdImages.ChildAsync()),
        Sparse("killed", await VhdImages.KilledAsync()),
        Fixed(await VhdImages.FixedAsync()),
    ];

    private static FuzzImage Sparse(string name, MemoryFile file) =>
        new(name, file, [EndOf(file), VhdImages.Footer("copy", 0), VhdImages.Header(), VhdImages.Locators(), VhdImages.Table()], BigEndian: true);

    private static FuzzImage Fixed(MemoryFile file) => new("fixed", file, [EndOf(file)], BigEndian: true);

    private static Area EndOf(MemoryFile file) => VhdImages.Footer("footer", (file.Length - 1) / VhdFormat.Sector * VhdFormat.Sector);
}

/// <summary>Repairs of a damaged VHDX, wherever the damage is.</summary>
internal sealed class VhdxRepairTarget : VhdxTarget
{
    private readonly RepairExercise _exercise;

    public VhdxRepairTarget() =>
        _exercise = new RepairExercise(ImageFormat.VhdxDynamic, static file => VhdxCheck.RunAsync(file, CancellationToken.None), base.ExerciseAsync);

    public override string Name => "repair-vhdx";

    public override string What => "VHDX: repairs of all its structures";

    protected override bool HasChildren => true;

    protected override ValueTask ExerciseAsync(MemoryFile file, Signals signals) => _exercise.RunAsync(file, signals);

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        IReadOnlyList<Area> areas =
        [
            new Area("file identifier", 0, 8, [new(0, 8)]),
            VhdxImages.Header("first header", VhdxFormat.FirstHeaderOffset),
            VhdxImages.Header("second header", VhdxFormat.SecondHeaderOffset),
            VhdxImages.RegionTable("first region table", VhdxFormat.FirstRegionTableOffset),
            VhdxImages.RegionTable("second region table", VhdxFormat.SecondRegionTableOffset),
            VhdxImages.MetadataTable(),
            VhdxImages.MetadataItems(),
            VhdxImages.Table(8),
        ];
        return
        [
            new FuzzImage("content", await VhdxImages.WithContentAsync(), areas),
            new FuzzImage("killed", await VhdxImages.KilledAsync(), [.. areas, VhdxImages.LogEntry(0), VhdxImages.LogEntry(2), VhdxImages.LogEntry(4)]),
            new FuzzImage("child", await VhdxImages.ChildAsync(), [.. areas, VhdxImages.Locator(), VhdxImages.BitmapEntry()]),
            new FuzzImage("fixed", await VhdxImages.FixedAsync(), areas),
        ];
    }
}
