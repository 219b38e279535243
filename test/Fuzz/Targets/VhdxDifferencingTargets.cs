using Godwit.Fuzz.Engine;

namespace Godwit.Fuzz.Targets;

/// <summary>How a differencing disk names its parent: the metadata item, its place in the table, the texts in it.</summary>
internal sealed class VhdxLocatorTarget : VhdxTarget
{
    public override string Name => "vhdx-locator";

    public override string What => "VHDX: parent locator";

    protected override bool HasChildren => true;

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        var locator = VhdxImages.Locator();
        return
        [
            new FuzzImage("child", await VhdxImages.ChildAsync(), [locator, locator, VhdxImages.LocatorTexts(), VhdxImages.MetadataTable()]),
            new FuzzImage("content", await VhdxImages.WithContentAsync(), [locator, VhdxImages.MetadataTable(), VhdxImages.MetadataItems()]),
        ];
    }
}

/// <summary>Sector bitmaps of a differencing disk, and the table's entries that lead to them.</summary>
internal sealed class VhdxBitmapTarget : VhdxTarget
{
    public override string Name => "vhdx-bitmap";

    public override string What => "VHDX: sector bitmaps and their entries";

    protected override bool HasChildren => true;

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync()
    {
        var child = await VhdxImages.ChildAsync();
        var killed = await VhdxImages.KilledChildAsync();
        var justNow = await VhdxImages.KilledChildAsync(Boot);
        IReadOnlyList<Area> tables = [VhdxImages.Table(12), VhdxImages.BitmapEntry()];
        IReadOnlyList<Area> entries = [.. Enumerable.Range(0, 4).Select(index => VhdxImages.LogEntry(index * 2))];
        return
        [
            new FuzzImage("child", child, [.. tables, .. await VhdxImages.BitmapAsync(child)]),
            new FuzzImage("killed", killed, [.. tables, .. await VhdxImages.BitmapAsync(killed), .. entries]),
            new FuzzImage("killed just now", justNow, [.. tables, .. await VhdxImages.BitmapAsync(justNow), .. entries]),
        ];
    }
}
