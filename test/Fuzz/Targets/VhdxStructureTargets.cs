using Godwit.Fuzz.Engine;
using Godwit.Storage.Formats.Vhdx;

namespace Godwit.Fuzz.Targets;

/// <summary>Both headers: which one rules, and what it says about the log.</summary>
internal sealed class VhdxHeaderTarget : VhdxTarget
{
    public override string Name => "vhdx-header";

    public override string What => "VHDX: file identifier and both headers";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        IReadOnlyList<Area> areas =
        [
            new Area("file identifier", 0, 520, [new(0, 8)]),
            VhdxImages.Header("first header", VhdxFormat.FirstHeaderOffset),
            VhdxImages.Header("second header", VhdxFormat.SecondHeaderOffset),
        ];
        return
        [
            new FuzzImage("content", await VhdxImages.WithContentAsync(), areas),
            new FuzzImage("killed", await VhdxImages.KilledAsync(), areas),
        ];
    }
}

/// <summary>Both region tables.</summary>
internal sealed class VhdxRegionTarget : VhdxTarget
{
    public override string Name => "vhdx-region";

    public override string What => "VHDX: both region tables";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        IReadOnlyList<Area> areas =
        [
            VhdxImages.RegionTable("first region table", VhdxFormat.FirstRegionTableOffset),
            VhdxImages.RegionTable("second region table", VhdxFormat.SecondRegionTableOffset),
        ];
        return
        [
            new FuzzImage("content", await VhdxImages.WithContentAsync(), areas),
            new FuzzImage("huge", await VhdxImages.HugeAsync(), areas),
        ];
    }
}

/// <summary>The metadata table and its items.</summary>
internal sealed class VhdxMetadataTarget : VhdxTarget
{
    public override string Name => "vhdx-metadata";

    public override string What => "VHDX: metadata table and items";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        IReadOnlyList<Area> areas = [VhdxImages.MetadataTable(), VhdxImages.MetadataItems()];
        return
        [
            new FuzzImage("content", await VhdxImages.WithContentAsync(), areas),
            new FuzzImage("fixed", await VhdxImages.FixedAsync(), areas),
            new FuzzImage("huge", await VhdxImages.HugeAsync(), areas),
        ];
    }
}

/// <summary>The block allocation table.</summary>
internal sealed class VhdxBatTarget : VhdxTarget
{
    public override string Name => "vhdx-bat";

    public override string What => "VHDX: block allocation table";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() =>
    [
        new FuzzImage("content", await VhdxImages.WithContentAsync(), [VhdxImages.Table(12)]),
        new FuzzImage("fixed", await VhdxImages.FixedAsync(), [VhdxImages.Table(8)]),
        new FuzzImage("huge", await VhdxImages.HugeAsync(), [VhdxImages.Table(520)]),
    ];
}
