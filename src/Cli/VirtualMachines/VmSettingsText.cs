using System.Globalization;
using Godwit.Api.VirtualMachines;
using Godwit.Cli.Text;

namespace Godwit.Cli.VirtualMachines;

/// <summary>Settings for people. What is as usual is not mentioned.</summary>
internal static class VmSettingsText
{
    private static readonly VirtualMachineSettings Usual = new();

    /// <summary>Adds one line per setting.</summary>
    public static void Add(FieldList fields, VirtualMachineSettings settings)
    {
        fields.Add("Memory", ByteSize.Format(settings.Memory));
        fields.Add("CPUs", settings.Cpus.ToString(CultureInfo.InvariantCulture));
        fields.Add("CPU model", settings.CompatibilityForMigration ? "compatible with other hosts" : null);
        fields.Add("Kernel", settings.Kernel);
        fields.Add("Initrd", settings.Initrd);
        fields.Add("Append", settings.Append);
        fields.Add("Serial", settings.Serial);
        foreach (var adapter in settings.Networks ?? [])
            fields.Add("Network", $"{adapter.Switch}, {adapter.MacAddress}");
        fields.Add("Boot order", settings.BootOrder is { } order ? string.Join(", ", order) : null);
        fields.Add("At host start", Start(settings));
        fields.Add("At host shutdown", settings.AutomaticStopAction == Usual.AutomaticStopAction ? null : Kebab.Of(settings.AutomaticStopAction));
        fields.Add("When a disk fails", Critical(settings));
        fields.Add("Checkpoints", settings.CheckpointType == Usual.CheckpointType ? null : Kebab.Of(settings.CheckpointType));
        fields.Add("Notes", settings.Notes);
    }

    private static string? Start(VirtualMachineSettings settings)
    {
        if (settings.AutomaticStartDelay != 0)
            return string.Create(CultureInfo.InvariantCulture, $"{Kebab.Of(settings.AutomaticStartAction)} after {settings.AutomaticStartDelay} s");
        return settings.AutomaticStartAction == Usual.AutomaticStartAction ? null : Kebab.Of(settings.AutomaticStartAction);
    }

    private static string? Critical(VirtualMachineSettings settings)
    {
        if (settings.AutomaticCriticalErrorAction == CriticalErrorAction.None)
            return "wait as long as it takes";
        return settings.AutomaticCriticalErrorActionTimeout == Usual.AutomaticCriticalErrorActionTimeout
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"wait {settings.AutomaticCriticalErrorActionTimeout} minutes, then turn off");
    }
}
