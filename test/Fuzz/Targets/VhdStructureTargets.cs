using Godwit.Fuzz.Engine;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>The footer and its copy: kind, size, geometry, which of the two rules.</summary>
internal sealed class VhdFooterTarget : VhdTarget
{
    public override string Name => "vhd-footer";

    public override string What => "VHD: footer and its copy";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() =>
    [
        Image("dynamic", await VhdImages.DynamicAsync()),
        Image("fixed", await VhdImages.FixedAsync()),
        Image("child", await VhdImages.ChildAsync()),
        Image("killed", await VhdImages.KilledAsync()),
        Image("short", await VhdImages.ShortAsync()),
    ];

    private static FuzzImage Image(string name, MemoryFile file) =>
        new(name, file, [VhdImages.Footer("footer", (file.Length - 1) / 512 * 512), VhdImages.Footer("copy", 0)], BigEndian: true);
}

/// <summary>The dynamic header.</summary>
internal sealed class VhdHeaderTarget : VhdTarget
{
    public override string Name => "vhd-header";

    public override string What => "VHD: dynamic header";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() =>
    [
        new FuzzImage("dynamic", await VhdImages.DynamicAsync(), [VhdImages.Header()], BigEndian: true),
        new FuzzImage("child", await VhdImages.ChildAsync(), [VhdImages.Header()], BigEndian: true),
        new FuzzImage("killed", await VhdImages.KilledAsync(), [VhdImages.Header()], BigEndian: true),
    ];
}

/// <summary>The parent locators, the paths they point to, the parent's name.</summary>
internal sealed class VhdLocatorTarget : VhdTarget
{
    public override string Name => "vhd-locator";

    public override string What => "VHD: parent locators and paths";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() =>
    [
        new FuzzImage("child", await VhdImages.ChildAsync(), [VhdImages.Locators(), VhdImages.Locators(), .. VhdImages.Paths()], BigEndian: true),
        new FuzzImage("dynamic", await VhdImages.DynamicAsync(), [VhdImages.Locators()], BigEndian: true),
    ];
}

/// <summary>The block table and the sector bitmaps it leads to.</summary>
internal sealed class VhdBatTarget : VhdTarget
{
    public override string Name => "vhd-bat";

    public override string What => "VHD: block table and sector bitmaps";

    protected override async ValueTask<IReadOnlyList<FuzzImage>> CreateImagesAsync() =>
    [
        await ImageAsync("dynamic", await VhdImages.DynamicAsync()),
        await ImageAsync("child", await VhdImages.ChildAsync()),
        await ImageAsync("killed", await VhdImages.KilledAsync()),
    ];

    private static async ValueTask<FuzzImage> ImageAsync(string name, MemoryFile file) =>
        new(name, file, [VhdImages.Table(), .. await VhdImages.BitmapsAsync(file)], BigEndian: true);
}
