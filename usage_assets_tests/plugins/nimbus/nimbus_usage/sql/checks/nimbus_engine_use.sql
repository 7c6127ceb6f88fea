-- frames and credits of port_entities.nimbus_engine_use are those of nimbus.renders
-- sums: frames, credits
from nimbus.renders
