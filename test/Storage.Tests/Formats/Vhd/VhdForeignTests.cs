using System.Text;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Formats.Vhd;
using Xunit;
using static Godwit.Storage.Tests.Formats.Vhd.VhdSample;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Files as other programs make them: every locator, every creator, bitmaps as they come.</summary>
public sealed class VhdForeignTests
{
    private const int BlockSize = 2 * MiB;
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory(Timeout = 20_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Locators_of_every_platform_are_read(bool spaceInBytes)
    {
        var link = (await VhdDisk.DescribeAsync(await WithLocators(spaceInBytes).BuildAsync(), None)).Parent!;
        Assert.Equal(new Guid("00112233-4455-6677-8899-aabbccddeeff"), link.Linkage);
        Assert.Equal(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero).AddSeconds(600_000_000), link.Modified);
        Assert.Equal(
            [
                new(ParentPathKind.Absolute, @"C:\VMs\Bäse\base.vhd"),
                new(ParentPathKind.Relative, @"..\Bäse\base.vhd"),
                new(ParentPathKind.Relative, @".\old.vhd"),
                new(ParentPathKind.Absolute, @"D:\old.vhd"),
                new(ParentPathKind.Url, "file://localhost/Volumes/B%C3%A4se/base.vhd"),
                new(ParentPathKind.Name, "Bäse.vhd"),
            ],
            link.Paths);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_locator_nobody_here_understands_is_kept_when_the_parent_is_exchanged()
    {
        var file = await WithLocators(spaceInBytes: false).BuildAsync();
        var alias = file.ToArray().AsSpan().IndexOf("an alias of a Macintosh"u8);
        await VhdDisk.SetParentAsync(file.Reopen(), Parent, "base.vhd", None);
        var bytes = file.ToArray();
        Assert.Equal(alias, bytes.AsSpan().IndexOf("an alias of a Macintosh"u8));
        var entries = Enumerable.Range(0, 8).Select(index => Encoding.ASCII.GetString(bytes, 512 + 576 + (index * 24), 4)).ToList();
        Assert.Equal(["Mac ", "W2ru", "W2ku", "MacX"], entries.Where(code => code != "\0\0\0\0"));
        Assert.Equal(Parent.Paths, (await VhdDisk.DescribeAsync(file.Reopen(), None)).Parent!.Paths);
        Assert.Equal(0, (await VhdCheck.RunAsync(file.Reopen(), None)).Errors);
    }

    [Fact(Timeout = 20_000)]
    public async Task Bits_say_whose_a_sector_is_and_writing_changes_only_what_is_written()
    {
        var parent = Pattern(1, 16 * MiB);
        var expected = (byte[])parent.Clone();
        var image = new ForeignVhd { ParentName = "p.vhd" };
        Add(0, 200, sector => sector * 7919 % 13 < 5);

        // Nowhere near a multiple of anything, and not in the order of the disk.
        Add(3, 9001, sector => sector == 4095);
        Add(7, 4600, _ => true);
        Add(2, 13_099, _ => false);
        var file = await image.BuildAsync();
        Assert.Equal(0, (await VhdCheck.RunAsync(file.Reopen(), None)).Errors);
        var random = new Random(5);
        for (var session = 0; session < 3; session++)
        {
            await using var disk = await OpenAsync(file.Reopen(), parent: ParentOf(parent));
            AssertSame(expected, await ReadAsync(disk, 0, expected.Length));
            for (var change = 0; change < 40; change++)
            {
                var length = random.Next(1, 1 << random.Next(1, 12)) * 512;
                var at = random.Next((expected.Length - length) / 512) * 512;
                random.NextBytes(expected.AsSpan(at, length));
                await disk.WriteAsync(at, expected.AsMemory(at, length), WriteFlags.None, None);
            }
        }

        await using var again = await OpenAsync(file.Reopen(), parent: ParentOf(parent));
        AssertSame(expected, await ReadAsync(again, 0, expected.Length));

        void Add(int block, int sector, Func<int, bool> isOwn)
        {
            var bytes = Pattern(block + 10, BlockSize);
            image.Block(block, sector, bytes, isOwn);
            for (var at = 0; at < BlockSize / 512; at++)
            {
                if (isOwn(at))
                    bytes.AsSpan(at * 512, 512).CopyTo(expected.AsSpan((block * BlockSize) + (at * 512)));
            }
        }
    }

    /// <summary>964 x 2 x 17 sectors: one MiB less than the footer says.</summary>
    [Theory(Timeout = 20_000)]
    [InlineData("vpc ", true)]
    [InlineData("qemu", true)]
    [InlineData("qem2", false)]
    [InlineData("win ", false)]
    [InlineData("vs  ", false)]
    [InlineData("d2v ", false)]
    [InlineData("tap\0", false)]
    [InlineData("CTXS", false)]
    [InlineData("wa\0\0", false)]
    [InlineData("vbox", false)]
    [InlineData("\0\0\0\0", false)]
    public async Task The_size_is_where_its_creator_puts_it(string creator, bool isGeometry)
    {
        const int BySectors = 964 * 2 * 17 * 512;
        foreach (var kind in new[] { ForeignVhd.Fixed, ForeignVhd.Dynamic, ForeignVhd.Differencing })
        {
            var file = await new ForeignVhd { Kind = kind, Size = BySectors + MiB, Creator = creator, Geometry = (964, 2, 17) }.BuildAsync();
            Assert.Equal(BySectors + (isGeometry ? 0 : MiB), (await VhdDisk.DescribeAsync(file, None)).Size);

            // No geometry, or the largest, says nothing.
            foreach (var geometry in new[] { ((ushort)0, (byte)0, (byte)0), ((ushort)65535, (byte)16, (byte)255) })
            {
                file = await new ForeignVhd { Kind = kind, Size = BySectors + MiB, Creator = creator, Geometry = geometry }.BuildAsync();
                Assert.Equal(BySectors + MiB, (await VhdDisk.DescribeAsync(file, None)).Size);
            }
        }
    }

    /// <summary>Azure takes whole MiB, a footer behind them and nothing else; its geometry may say less.</summary>
    [Theory(Timeout = 20_000)]
    [InlineData("wa\0\0")]
    [InlineData("win ")]
    public async Task A_disk_of_azure_is_its_bytes_and_stays_so(string creator)
    {
        const int Size = 7 * MiB;
        var file = await new ForeignVhd { Kind = ForeignVhd.Fixed, Size = Size, Creator = creator, Geometry = (210, 4, 17) }.BuildAsync();
        var footer = file.ToArray()[Size..];
        await using (var disk = await OpenAsync(file.Reopen()))
        {
            Assert.Equal(Size, disk.Length);
            await disk.WriteAsync(Size - 512, Pattern(1, 512), WriteFlags.None, None);
        }

        Assert.Equal(Size + 512, file.Reopen().Length);
        Assert.Equal(Pattern(1, 512), file.ToArray()[(Size - 512)..Size]);
        Assert.Equal(footer, file.ToArray()[Size..]);

        // What we make ourselves is such a disk as well, whatever its geometry comes to.
        var own = await CreateAsync(Size, isFixed: true);
        Assert.Equal(Size + 512, own.Length);
        Assert.Equal(Size, (await VhdDisk.DescribeAsync(own, None)).Size);
        await using (var grown = await OpenAsync(own.Reopen()))
            await grown.ResizeAsync(Size + MiB, None);
        Assert.Equal(Size + MiB + 512, own.Reopen().Length);
    }

    [Fact(Timeout = 20_000)]
    public async Task A_locator_that_leads_nowhere_is_a_warning_and_the_others_serve()
    {
        var file = await WithLocators(spaceInBytes: false).BuildAsync();
        var header = file.ToArray()[512..1536];
        BitConverter.GetBytes(-1L).CopyTo(header, 576 + 24 + 16);
        header[36] = header[37] = header[38] = header[39] = 0;
        var sum = (uint)~header.Sum(value => value);
        new[] { (byte)(sum >> 24), (byte)(sum >> 16), (byte)(sum >> 8), (byte)sum }.CopyTo(header, 36);
        await PokeAsync(file, 512, header);
        var report = await VhdCheck.RunAsync(file.Reopen(), None);
        Assert.Contains(report.Findings, finding =>
            finding.Severity == CheckSeverity.Warning && finding.Message.Contains("parent locator W2ku", StringComparison.Ordinal));
        var paths = (await VhdDisk.DescribeAsync(file, None)).Parent!.Paths;
        Assert.Equal(@"..\Bäse\base.vhd", paths[0].Text);
        Assert.Equal(5, paths.Count);
    }

    private static ForeignVhd WithLocators(bool spaceInBytes)
    {
        var image = new ForeignVhd { ParentId = Parent.Linkage, ParentStamp = 600_000_000, ParentName = "Bäse.vhd" };
        image.Locator("Mac ", "an alias of a Macintosh"u8.ToArray(), spaceInBytes);
        image.Locator("W2ku", Encoding.Unicode.GetBytes(@"C:\VMs\Bäse\base.vhd"), spaceInBytes);
        image.Locator("W2ru", Encoding.Unicode.GetBytes("..\\Bäse\\base.vhd\0"), spaceInBytes);
        image.Locator("Wi2r", Encoding.Latin1.GetBytes(@".\old.vhd"), spaceInBytes);
        image.Locator("Wi2k", Encoding.Latin1.GetBytes("D:\\old.vhd\0"), spaceInBytes);
        image.Locator("MacX", "file://localhost/Volumes/B%C3%A4se/base.vhd"u8.ToArray(), spaceInBytes);
        return image;
    }

    private static void AssertSame(byte[] expected, byte[] actual)
    {
        var same = expected.AsSpan().CommonPrefixLength(actual);
        Assert.True(same == expected.Length, $"differs at {same}");
    }
}
