using System.Globalization;
using Godwit.Testing.Guest;
using Godwit.Testing.Hosts;

namespace Godwit.EndToEnd;

/// <summary>A VM that boots one of several images, each of which says on the serial port which one it is.</summary>
internal sealed class BootedVm : IAsyncDisposable
{
    private BootedVm(HostUnderTest host) => Host = host;

    public const string Name = "boot";

    public HostUnderTest Host { get; }

    private string Serial => File("serial.log");

    /// <summary>A file beside the images a.img, b.img, c.iso, d.iso and efi.img.</summary>
    public string File(string name) => Path.Combine(Host.Folder, name);

    /// <summary>Makes images and the VM.</summary>
    /// <param name="options">Options of "vm create"; {0} stands for the images' folder.</param>
    /// <param name="ct">Gives up.</param>
    public static async Task<BootedVm> CreateAsync(string[] options, CancellationToken ct)
    {
        var vm = new BootedVm(await HostUnderTest.StartAsync(HostUnderTest.DefaultPrograms, ct));
        try
        {
            BootImages.WriteDisk(vm.File("a.img"), "from a");
            BootImages.WriteDisk(vm.File("b.img"), "from b");
            BootImages.WriteDisc(vm.File("c.iso"), "from c");
            BootImages.WriteDisc(vm.File("d.iso"), "from d");
            if (options.Any(option => option.Contains("efi.img", StringComparison.Ordinal)))
                await vm.MakeEfiDiskAsync(ct);
            var given = options.Select(option => string.Format(CultureInfo.InvariantCulture, option, vm.Host.Folder));
            (await vm.Host.GodwitAsync(["vm", "create", Name, "--memory", "128M", "--serial", vm.Serial, .. given], ct)).Succeeded();
            return vm;
        }
        catch
        {
            await vm.DisposeAsync();
            throw;
        }
    }

    public async Task GodwitAsync(CancellationToken ct, params string[] arguments) => (await Host.GodwitAsync(["vm", .. arguments], ct)).Succeeded();

    /// <summary>Starts the VM and waits until it says the words.</summary>
    public Task StartAsync(string words, CancellationToken ct) => ThenSaysAsync("start", words, ct);

    /// <summary>Resets the VM and waits until it says the words.</summary>
    public Task ResetAsync(string words, CancellationToken ct) => ThenSaysAsync("reset", words, ct);

    public Task StopAsync(CancellationToken ct) => GodwitAsync(ct, "stop", Name, "--turn-off");

    public async ValueTask DisposeAsync() => await Host.DisposeAsync();

    private async Task ThenSaysAsync(string verb, string words, CancellationToken ct)
    {
        var said = Said().Length;
        await GodwitAsync(ct, verb, Name);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        while (!Said()[said..].Contains(words, StringComparison.Ordinal))
        {
            if (limit.IsCancellationRequested)
                throw new TimeoutException($"after {verb} the guest did not say \"{words}\" but: {Said()[said..]}");
            await Task.Delay(50, ct);
        }
    }

    private string Said()
    {
        if (!System.IO.File.Exists(Serial))
            return "";
        using var reader = new StreamReader(new FileStream(Serial, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }

    /// <summary>A FAT file system with the guest's kernel where UEFI looks for a program on a disk it does not know. What it does without a command line and with little memory is its own affair.</summary>
    private async Task MakeEfiDiskAsync(CancellationToken ct)
    {
        var image = await GuestImage.BuildAsync(File("guest"), ct);
        await using (var disk = System.IO.File.Create(File("efi.img")))
            disk.SetLength(64 << 20);
        (await ChildProgram.RunAsync("mkfs.fat", ["-F", "32", File("efi.img")], null, ct)).Succeeded();
        (await ChildProgram.RunAsync("mmd", ["-i", File("efi.img"), "::/EFI", "::/EFI/BOOT"], null, ct)).Succeeded();
        (await ChildProgram.RunAsync("mcopy", ["-i", File("efi.img"), image.Kernel, "::/EFI/BOOT/BOOTX64.EFI"], null, ct)).Succeeded();
    }
}
